"""Heat maps of any network."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from postergenre.networks import PosterNetwork
from postergenre.saliency.gradients import gradient_heat
from postergenre.saliency.relevance import relevance_heat


def heat_maps(network: PosterNetwork, image: Tensor, outputs: Sequence[int]) -> Tensor:
    """Return where in a poster the network sees each of some genres.

    Vision transformers are asked by ``relevance_heat``, all others by ``gradient_heat``. What speaks against a genre
    counts as nothing.

    Args:
        network: In any mode, frozen or not, on any device; it is left as it is.
        image: ``uint8 (3,H,W)``.
        outputs: Positions of K genres among the network's G outputs.

    Returns:
        ``float32 (K,H,W)`` on the CPU, in 0 … 1: 1 where the heat is greatest, 0 all over where nothing in the poster
        speaks for the genre.

    Raises:
        ConfigError: The network does not tell where its features come from.
    """
    size = (image.shape[-2], image.shape[-1])
    if not outputs:
        return torch.zeros(0, *size)
    device = network.output.weight.device
    with torch.inference_mode(False), _evaluating(network), torch.autocast(device.type, enabled=False):
        images = image.clone().to(device)[None]  # (1,3,H,W); a clone is no tensor of inference mode
        heat = relevance_heat(network, images, outputs)  # (K,1,h,w)
        if heat is None:
            heat = gradient_heat(network, images, outputs)
        heat = nn.functional.interpolate(heat.relu(), size, mode="bilinear")[:, 0].cpu()
    return heat / heat.amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(heat.dtype).tiny)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and each of its modules back into its own."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
