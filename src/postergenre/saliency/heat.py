"""Heat maps of networks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from captum.attr import LayerAttribution, LayerGradCam
from torch import Tensor, nn

from postergenre.networks import PosterNetwork


def heat_maps(network: PosterNetwork, image: Tensor, outputs: Sequence[int]) -> Tensor:
    """Return where in a poster the network sees each of some genres.

    Grad-CAM: the maps that the head pools, each channel weighted by what it does to the genre's logit; what speaks
    against the genre counts as nothing. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via
    gradient-based localization", 2017.

    Args:
        network: In any mode, frozen or not, on any device; it is left as it is.
        image: ``uint8 (3,H,W)``.
        outputs: Positions of K genres among the network's G outputs.

    Returns:
        ``float32 (K,H,W)`` on the CPU, in 0 … 1: 1 where the heat is greatest, 0 all over where nothing in the poster
        speaks for the genre.
    """
    size = (image.shape[-2], image.shape[-1])
    if not outputs:
        return torch.zeros(0, *size)
    with torch.inference_mode(False), _evaluating(network), torch.autocast(_device(network).type, enabled=False):
        pixels = image.to(_device(network))[None].clone()  # (1,3,H,W), no tensor of inference mode
        with torch.no_grad():
            maps = network.maps(pixels)
        heat = _grad_cam(network, maps, outputs, size)  # (K,1,H,W)
    heat = heat[:, 0].relu().float().cpu()
    return heat / heat.amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)


class _Head(nn.Module):
    """What makes logits of maps, with a door for each of them, where captum stands."""

    def __init__(self, network: PosterNetwork, num_maps: int) -> None:
        super().__init__()
        self.doors = nn.ModuleList(nn.Identity() for _ in range(num_maps))
        self.rest = (network,)  # no submodule of this one: captum looks, and must not touch

    def forward(self, *maps: Tensor) -> Tensor:
        (network,) = self.rest
        logits: Tensor = network.head(network.pooled([door(m) for door, m in zip(self.doors, maps, strict=True)]))
        return logits


def _grad_cam(network: PosterNetwork, maps: Sequence[Tensor], outputs: Sequence[int], size: tuple[int, int]) -> Tensor:
    inputs = tuple(m.expand(len(outputs), -1, -1, -1).clone().requires_grad_() for m in maps)  # (K,C,h,w) each
    head = _Head(network, len(maps))
    heat = torch.zeros(())
    for door in head.doors:
        cam = LayerGradCam(head, door).attribute(inputs, target=list(outputs))  # (K,1,h,w)
        assert isinstance(cam, Tensor)
        share = cam * (cam.shape[2] * cam.shape[3])  # a cell of coarse maps speaks for more pixels
        heat = heat.to(share) + LayerAttribution.interpolate(share.detach(), size, interpolate_mode="bilinear")
    return heat


def _device(network: PosterNetwork) -> torch.device:
    return network.normalize.mean.device


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
