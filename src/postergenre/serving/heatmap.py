"""A heat map as a picture that lies on its poster."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from postergenre.preprocess import Preprocess
from postergenre.saliency import coloured

LONGEST = 512
"""Pixels of the longer side: a heat map has no details."""


def overlay(heats: Sequence[tuple[Preprocess, npt.NDArray[np.float32]]], size: tuple[int, int]) -> bytes:
    """Return a PNG, half transparent, to lay over a poster shown upright.

    Args:
        heats: What each network's preprocessing made of the poster, and its heat ``(H,W)`` in 0 … 1; they are averaged.
        size: Width and height of the poster, upright.
    """
    scale = min(LONGEST / max(size), 1)
    width, height = max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)
    maps = [preprocess.laid_back(torch.from_numpy(heat)[None], height, width)[0] for preprocess, heat in heats]
    heat = torch.stack(maps).mean(dim=0).clamp(0, 1).numpy()  # (h,w)
    cover = 0.45 + 0.3 * heat  # the hotter, the less of the poster shines through
    levels = np.dstack([coloured(heat), cover])
    file = BytesIO()
    Image.fromarray((255 * levels).round().astype(np.uint8), "RGBA").save(file, "PNG", compress_level=3)
    return file.getvalue()
