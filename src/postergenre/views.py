"""Several views of a poster, whose answers are averaged: test-time augmentation."""

from collections.abc import Callable

import torch
from torch import Tensor

from postergenre.errors import ConfigError

VIEWS = ("none", "flip", "crops")
"""``flip``: the poster and its mirror image. ``crops``: also its corners and its centre, mirrored too: 12 views."""
SIDE = 0.9
"""Height and width of a crop, of the poster's."""


def check_views(kind: str) -> None:
    """Refuse a kind of views that there is not.

    Raises:
        ConfigError: It is none of ``VIEWS``.
    """
    if kind not in VIEWS:
        raise ConfigError(f"no tta {kind!r}; known: {', '.join(VIEWS)}")


def views_of(images: Tensor, kind: str) -> list[Tensor]:
    """Return views of images, the images first: each ``uint8 (B,3,H,W)`` as they are.

    Ten crops as Krizhevsky et al., 2012, but of nearly the whole poster: a title or a face at its edge tells much.

    Raises:
        ConfigError: ``kind`` is none of ``VIEWS``.
    """
    check_views(kind)
    views = [images]
    if kind == "crops":
        from torchvision.transforms.v2 import functional  # imported here, as in `augment`

        height, width = images.shape[-2:]
        for crop in functional.five_crop(images, [round(SIDE * height), round(SIDE * width)]):
            views.append(functional.resize(crop, [height, width], antialias=True))
    if kind != "none":
        views += [view.flip(-1) for view in views]
    return views


def averaged(network: Callable[[Tensor], Tensor], images: Tensor, kind: str) -> Tensor:
    """Return the mean logits ``float32 (B,G)`` of a network over views of images ``uint8 (B,3,H,W)``.

    Logits and not probabilities are averaged, as calibration comes afterwards: temperatures divide logits, thresholds
    were fitted to what they give, and a mean of logits is one, where a mean of probabilities is drawn to the middle.

    Raises:
        ConfigError: ``kind`` is none of ``VIEWS``.
    """
    return torch.stack([network(view).float() for view in views_of(images, kind)]).mean(dim=0)
