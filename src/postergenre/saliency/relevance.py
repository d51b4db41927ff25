"""Heat maps of vision transformers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from postergenre.networks import PosterNetwork
from postergenre.saliency.tokens import timm_model, to_grid


def relevance_heat(network: PosterNetwork, images: Tensor, outputs: Sequence[int]) -> Tensor | None:
    """Return how far the logits rest on each patch, through the attention of all layers.

    Each layer's attention, weighted by its gradient where that speaks for the genre and averaged over heads, passes the
    relevance of patches on to the tokens that looked at them: Chefer, Gur and Wolf, "Generic attention-model
    explainability for interpreting bi-modal and encoder-decoder transformers", 2021, equations 5 and 6. The last
    tokens themselves tell little: each has seen all the others.

    Args:
        network: In evaluation mode.
        images: ``uint8 (1,3,H,W)``.
        outputs: Positions of K genres.

    Returns:
        ``float32 (K,1,h,w)``, at least 0; None for networks in which not every token may look at every other one.
    """
    model = timm_model(network)
    layers = [getattr(block, "attn", None) for block in getattr(model, "blocks", ())]
    if not layers or not all(hasattr(layer, "attn_drop") and hasattr(layer, "fused_attn") for layer in layers):
        return None
    with _watched(layers) as attention, torch.enable_grad():
        maps = network.maps(images)
        count = maps[0].shape[1]
        if maps[0].ndim != 3 or any(seen.shape[-2:] != (count, count) for seen in attention):
            return None
        logits = network.head(network.pooled(maps))  # (1,G)
    own = torch.eye(count, device=images.device)
    rows = []
    for output in outputs:
        gradients = torch.autograd.grad(logits[0, output], attention, retain_graph=True)
        relevance = own  # (N,N): of each token, in columns, for each token
        for seen, gradient in zip(attention, gradients, strict=True):
            relevance = relevance + (seen.detach() * gradient).relu().mean(dim=1)[0] @ relevance
        # Of the first token where the head sees that one, else of all, each without itself.
        rows.append(relevance[0] if getattr(model, "global_pool", "") == "token" else (relevance - own).mean(dim=0))
    return to_grid(network, torch.stack(rows)[:, None], images.shape[-2:])


@contextmanager
def _watched(layers: Sequence[Any]) -> Iterator[list[Tensor]]:
    """Collect the attention ``(B,heads,N,N)`` of layers as they compute it, each with its gradient."""
    attention: list[Tensor] = []

    def look(_: nn.Module, __: Any, seen: Tensor) -> None:
        attention.append(seen if seen.requires_grad else seen.requires_grad_())  # where nothing before it trains

    fused = [layer.fused_attn for layer in layers]
    hooks = [layer.attn_drop.register_forward_hook(look) for layer in layers]
    try:
        for layer in layers:
            layer.fused_attn = False  # the fused kernel shows no attention
        yield attention
    finally:
        for hook in hooks:
            hook.remove()
        for layer, before in zip(layers, fused, strict=True):
            layer.fused_attn = before
