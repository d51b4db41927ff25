"""Heat maps of networks whose head pools maps."""

from collections.abc import Sequence

import torch
from captum.attr import LayerGradientXActivation
from torch import Tensor, nn
from torch.nn import functional

from postergenre.networks import PosterNetwork
from postergenre.saliency.tokens import as_maps


def gradient_heat(network: PosterNetwork, images: Tensor, outputs: Sequence[int]) -> Tensor:
    """Return what each place of the pooled maps adds to the logits: activation times gradient, summed over channels.

    Where the head averages the last maps, this is Grad-CAM: Selvaraju et al., "Grad-CAM: visual explanations from deep
    networks via gradient-based localization", 2017. Grad-CAM gives all places of a channel the mean of their
    gradients; behind a maximum or a deviation the places differ, and are here told apart as in Draelos and Carin, "Use
    HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks", 2020. Where the head
    sees the statistics of every stage, the last maps are only a part of its reasons: the shares of all stages are
    added, on the grid of the last but one. (On demo posters both choices put more of the heat on the motifs.)

    Args:
        network: In evaluation mode.
        images: ``uint8 (1,3,H,W)``.
        outputs: Positions of K genres.

    Returns:
        ``float32 (K,1,h,w)``, of both signs.

    Raises:
        ConfigError: The network does not tell where its features come from.
    """
    with torch.no_grad():
        maps = network.maps(images)
    # A copy for each genre, so that one pass behind the maps answers for all.
    inputs = tuple(m.expand(len(outputs), *m.shape[1:]).clone().requires_grad_() for m in maps)
    head = _Head(network, len(maps))
    shares = []
    for door in head.doors:
        share = LayerGradientXActivation(head, door).attribute(inputs, target=list(outputs))
        assert isinstance(share, Tensor)
        shares.append(as_maps(network, share.detach(), images.shape[-2:]).sum(dim=1, keepdim=True))  # (K,1,h,w)
    grid = shares[-2:][0].shape[-2:]
    return torch.stack([_on_grid(share, (grid[0], grid[1])) for share in shares]).sum(dim=0).float()


class _Head(nn.Module):
    """What makes logits of maps, with a door for each of them, where captum stands."""

    def __init__(self, network: PosterNetwork, num_maps: int) -> None:
        super().__init__()
        self.doors = nn.ModuleList(nn.Identity() for _ in range(num_maps))
        self.network = (network,)  # no submodule: captum's hooks stay outside it

    def forward(self, *maps: Tensor) -> Tensor:
        (network,) = self.network
        logits: Tensor = network.head(network.pooled([door(m) for door, m in zip(self.doors, maps, strict=True)]))
        return logits


def _on_grid(share: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return shares ``(K,1,h,w)`` of a logit on another grid, as shares per area: a cell of coarse maps is larger."""
    density = share * (share.shape[-2] * share.shape[-1])
    if density.shape[-2] > grid[0]:
        return functional.adaptive_avg_pool2d(density, grid)
    return functional.interpolate(density, grid, mode="bilinear")
