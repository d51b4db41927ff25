"""The picture that explains: the poster with its bars, over one card for each genre with its heat on the poster."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from postergenre.pictures import MUTED, PAGE, Answer, annotate, contact_sheet
from postergenre.saliency import coloured, heated

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
    _scale(page, (page.width - 36, page.height - 41))
    return page


def _scale(page: Image.Image, end: tuple[int, int]) -> None:
    """Tell what the colours mean, to the left of ``end``."""
    right, middle = end
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(18)
    draw.text((right, middle), "most heat", MUTED, font, anchor="rm")
    right -= round(font.getlength("most heat")) + 12
    strip = np.broadcast_to(coloured(np.linspace(0, 1, 140)), (14, 140, 3))
    page.paste(Image.fromarray((255 * strip).round().astype(np.uint8)), (right - 140, middle - 7))
    draw.text((right - 152, middle), "none", MUTED, font, anchor="rm")
