"""Heat as colours over a poster."""

from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

COLOURS = "inferno"
"""Perceptually uniform, and of one order of brightness for all readers: cold is dark, hot is light."""
LARGEST = 1200
"""Pixels of the longer side of a poster: more would not be seen."""


def heated(poster: Image.Image, heat: Tensor) -> Image.Image:
    """Return the poster in pale colours, under those of its heat: the hotter, the less of the poster shines through.

    Args:
        poster: RGB.
        heat: ``(h,w)``, in 0 … 1, with the rows and columns of the poster.
    """
    scale = min(LARGEST / max(poster.size), 1)
    size = max(round(poster.width * scale), 1), max(round(poster.height * scale), 1)
    small = poster.resize(size, Image.Resampling.LANCZOS)
    pale = 0.3 * np.asarray(small) / 255 + 0.7 * np.asarray(small.convert("L"))[..., None] / 255  # (h,w,3)
    warm = np.asarray(Image.fromarray(heat.numpy()).resize(size, Image.Resampling.BILINEAR)).clip(0, 1)
    cover = (0.15 + 0.6 * warm)[..., None]
    mixed = (1 - cover) * pale + cover * coloured(warm)
    return Image.fromarray((255 * mixed).round().astype(np.uint8))


def coloured(heat: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Return the colours ``(...,3)`` of heat ``(...)``, all in 0 … 1."""
    colours: npt.NDArray[np.float64] = mpl.colormaps[COLOURS](heat)[..., :3]
    return colours
