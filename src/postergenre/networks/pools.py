"""From maps to features."""

from collections.abc import Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn


class Statistics(nn.Module):
    """Maps of every stage ``(B,C_i,h_i,w_i)`` to the mean, maximum and deviation of each channel ``(B,3·ΣC_i)``.

    The early stages see colour and texture: the style of a poster, which the last maps have forgotten. The first
    two moments of a map are the style of Huang and Belongie, "Arbitrary style transfer in real-time", 2017.
    """

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        told = []
        for stage in maps:
            flat = stage.float().flatten(2)  # (B,C,h·w)
            deviation, mean = torch.std_mean(flat, dim=2, correction=0)
            told += [mean, flat.amax(dim=2), deviation]
        return torch.cat(told, dim=1)


class AverageAndMax(nn.Module):
    """Maps ``(B,C,h,w)`` to the mean and the maximum of each channel ``(B,2·C)``."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)


def build_pool(kind: str, own: nn.Module) -> nn.Module:
    """Return the pool of a kind; ``auto`` is the network's own."""
    match kind:
        case "avg":
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case "max":
            return nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
        case "avgmax":
            return AverageAndMax()
        case "statistics":
            return Statistics()
        case _:
            return own


def count_features(stages: Mapping[str, nn.Module], pool: nn.Module) -> int:
    """Return the number of features C that a pool makes of the last stage, or of all; computes only shapes."""
    maps = [torch.zeros(2, 3, 64, 64, device="meta")]
    for stage in stages.values():
        maps.append(deepcopy(stage).to("meta")(maps[-1]))
    every = isinstance(pool, Statistics)
    return int(deepcopy(pool).to("meta")(maps[1:] if every else maps[-1]).shape[1])
