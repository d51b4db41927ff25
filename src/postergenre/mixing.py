"""Posters of a batch mixed with one another, and their targets with them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from postergenre.errors import ConfigError

Mixed = tuple[Tensor, Tensor]
"""Inputs and targets, of the shapes and types they had."""


def mix(inputs: Tensor, targets: Tensor, *, mixup: float, cutmix: float, seed: Sequence[int]) -> Mixed:
    """Return a batch in which each poster is mixed with the one before it; the same seed mixes the same way.

    torchvision's transforms of these names take neither a seed, nor ``uint8`` to blend, nor pooled features.

    Args:
        inputs: ``uint8 (B,3,H,W)`` images, or what a frozen prefix made of them: ``(B,C,h,w)`` maps or ``(B,C)``. In
            random order, so that neighbours are random pairs.
        targets: ``(B,G)``, 0 … 1.
        mixup: Alpha of ``Beta(alpha, alpha)``, from which ``blend`` gets its share; 0 never blends.
        cutmix: The same of ``paste``. With both, a batch gets one or the other, with even chances.
        seed: Numbers of 0 or more, such as (seed, epoch, batch).

    Raises:
        ConfigError: Pooled features have nothing to cut from.
    """
    if cutmix and inputs.ndim != 4:
        raise ConfigError(
            "augment.cutmix needs maps to cut from, but the network is frozen up to its pooled features: "
            "freeze fewer stages (model.freeze), or use augment.mixup"
        )
    if not mixup and not cutmix:
        return inputs, targets
    # The key keeps the numbers apart from those that shuffle an epoch: numpy takes (seed, epoch, 0) for (seed, epoch).
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
    if not cutmix or (mixup and random.random() < 0.5):
        return blend(inputs, targets, lam=random.beta(mixup, mixup))
    box = draw_box(inputs.shape[2], inputs.shape[3], lam=random.beta(cutmix, cutmix), random=random)
    return paste(inputs, targets, box=box)


def blend(inputs: Tensor, targets: Tensor, *, lam: float) -> Mixed:
    """Return ``lam`` of each row and ``1 - lam`` of the one before it (MixUp, Zhang et al., 2018)."""
    blended = _mean(inputs.float(), lam)
    if not inputs.is_floating_point():
        blended = blended.round()
    return blended.to(inputs.dtype), _mean(targets, lam)


def paste(inputs: Tensor, targets: Tensor, *, box: tuple[int, int, int, int]) -> Mixed:
    """Return maps with a box from the row before; targets follow the area that stayed (CutMix, Yun et al., 2019).

    Args:
        inputs: ``(B,C,H,W)``.
        targets: ``(B,G)``.
        box: top, bottom, left, right; the second and the last lie outside.
    """
    top, bottom, left, right = box
    pasted = inputs.clone()
    pasted[..., top:bottom, left:right] = inputs[..., top:bottom, left:right].roll(1, dims=0)
    height, width = inputs.shape[-2:]
    return pasted, _mean(targets, 1 - (bottom - top) * (right - left) / (height * width))


def draw_box(height: int, width: int, *, lam: float, random: np.random.Generator) -> tuple[int, int, int, int]:
    """Return the top, bottom, left and right of a box of ``1 - lam`` of the area, less what falls over the edge."""
    half = (1 - lam) ** 0.5 / 2
    middle = random.random(2)
    # Rounded edges, not a rounded size: on maps of 7 × 7 the area then is right on average.
    top, left = np.maximum(middle - half, 0) * (height, width)
    bottom, right = np.minimum(middle + half, 1) * (height, width)
    return round(top), round(bottom), round(left), round(right)


def _mean(rows: Tensor, lam: float) -> Tensor:
    return lam * rows + (1 - lam) * torch.roll(rows, 1, dims=0)
