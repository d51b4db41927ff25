"""The picture that explains: the poster with its bars, over one card for each genre with its heat on the poster."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from postergenre.pictures import MUTED, PAGE, Answer, annotate, contact_sheet

COLOURS = "inferno"
"""Perceptually uniform, and of one order of brightness for all readers: cold is dark, hot is light."""
LARGEST = 1200
"""Pixels of a poster's longer side: more would not be seen."""
COLUMNS = 3


def explained(
    poster: Image.Image, answers: Sequence[Answer], heats: Sequence[tuple[Answer, Tensor]], *, title: str = ""
) -> Image.Image:
    """Return the poster beside its bars, over the heat of each genre.

    Args:
        poster: RGB, upright.
        answers: One bar each, in this order.
        heats: The genres to show and their heat ``(h,w)``, in 0 … 1, with the rows and columns of the poster.
        title: For example the file name.
    """
    above = annotate(poster, answers, title=title)
    cards = [(heated(poster, heat), [answer]) for answer, heat in heats]
    below = contact_sheet(cards, columns=COLUMNS, poster_height=330)
    page = Image.new("RGB", (max(above.width, below.width), above.height + below.height), PAGE)
    page.paste(above, (0, 0))
    page.paste(below, (0, above.height))
    _scale(page, (below.width - 27, page.height - 58))
    return page


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
    cover = (0.25 + 0.45 * warm)[..., None]
    mixed = (1 - cover) * pale + cover * _coloured(warm)
    return Image.fromarray((255 * mixed).round().astype(np.uint8))


def _scale(page: Image.Image, end: tuple[int, int]) -> None:
    """Tell what the colours mean, to the left of ``end``."""
    right, middle = end
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(18)
    draw.text((right, middle), "most heat", MUTED, font, anchor="rm")
    right -= round(font.getlength("most heat")) + 12
    strip = np.broadcast_to(_coloured(np.linspace(0, 1, 140)), (14, 140, 3))
    page.paste(Image.fromarray((255 * strip).round().astype(np.uint8)), (right - 140, middle - 7))
    draw.text((right - 152, middle), "none", MUTED, font, anchor="rm")


def _coloured(heat: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Return the colours ``(...,3)`` of heat ``(...)``, all in 0 … 1."""
    colours: npt.NDArray[np.float64] = mpl.colormaps[COLOURS](heat)[..., :3]
    return colours
