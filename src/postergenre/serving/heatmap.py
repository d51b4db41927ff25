"""A heat map as a picture that lies on its poster."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from postergenre.preprocess import Preprocess

LONGEST = 512
"""Pixels of the longer side: a heat map has no details."""
STOPS = (0.0, 0.3, 0.55, 0.8, 1.0)
COLOURS = np.array(
    [(10, 10, 26, 110), (62, 22, 104, 112), (196, 44, 84, 130), (252, 140, 28, 156), (255, 238, 120, 175)]
)
"""Red, green, blue and opacity at each of these heats: brighter all along, so that the colour-blind tell it too."""


def overlay(heats: Sequence[tuple[Preprocess, npt.NDArray[np.float32]]], size: tuple[int, int]) -> bytes:
    """Return a PNG, half transparent, to lay over a poster shown upright.

    Args:
        heats: What each network's preprocessing made of the poster, and its heat ``(H,W)`` in 0 … 1; they are averaged.
        size: Width and height of the poster, upright.
    """
    scale = min(LONGEST / max(size), 1)
    shown = (max(round(size[0] * scale), 1), max(round(size[1] * scale), 1))
    heat = np.mean([_on_poster(heat, preprocess, size, shown) for preprocess, heat in heats], axis=0)
    table = np.stack([np.interp(np.linspace(0, 1, 256), STOPS, channel) for channel in COLOURS.T], axis=-1)
    levels = (heat.clip(0, 1) * 255).round().astype(np.uint8)
    file = BytesIO()
    Image.fromarray(table.round().astype(np.uint8)[levels], "RGBA").save(file, "PNG", compress_level=3)
    return file.getvalue()


def _on_poster(
    heat: npt.NDArray[np.float32], preprocess: Preprocess, size: tuple[int, int], shown: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Undo a preprocessing: return ``(h,w)`` of a poster as it is shown; none where the network does not look."""
    width, height = size
    if preprocess.resize == "letterbox":  # without the bars
        scale = min(preprocess.height / height, preprocess.width / width)
        inner_width, inner_height = max(round(width * scale), 1), max(round(height * scale), 1)
        left, top = (preprocess.width - inner_width) // 2, (preprocess.height - inner_height) // 2
        heat = heat[top : top + inner_height, left : left + inner_width]
    seen = (0, 0, *shown)
    if preprocess.resize == "crop":  # the middle, in the shape of the network's input
        kept_width = min(1, height * preprocess.width / preprocess.height / width)
        kept_height = min(1, width * preprocess.height / preprocess.width / height)
        half_x, half_y = shown[0] * kept_width / 2, shown[1] * kept_height / 2
        seen = (
            round(shown[0] / 2 - half_x), round(shown[1] / 2 - half_y),
            max(round(shown[0] / 2 + half_x), 1), max(round(shown[1] / 2 + half_y), 1),
        )  # fmt: skip
    page = Image.new("F", shown)
    page.paste(Image.fromarray(heat).resize((seen[2] - seen[0], seen[3] - seen[1]), Image.Resampling.BICUBIC), seen[:2])
    return np.asarray(page)
