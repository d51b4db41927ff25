"""Titles. One font is at hand; styles come from stretching, slanting, cutting and outlining it."""

from collections.abc import Sequence
from functools import lru_cache
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from postergenre.data.synthetic.canvas import Canvas
from postergenre.data.synthetic.palette import BLACK, WHITE, Colour, blend, brightness, hexed

RAINBOW = tuple(hexed(code) for code in ("e8344e", "f59a1b", "2fa84f", "2a7de1", "8e44ad", "ff5fa2"))
"""Colours of the letters in the style ``bounce``."""

_SPACED = {"wide": 14, "neon": 6}
"""Styles of light letters, and the pixels between these."""

HALF = [i // 2 for i in range(256)]


@lru_cache(maxsize=64)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def write_title(canvas: Canvas, title: str, style: str, box: tuple[float, float, float, float], rng: Random) -> None:
    """Write a title into a box, one line for each word or two, in whatever colour stands out there.

    Args:
        canvas: Where.
        title: Capital letters.
        style: ``heavy``, ``wide``, ``slant``, ``drip``, ``slab``, ``stencil``, ``bounce``, ``outline`` or ``neon``.
        box: Left, top, right and bottom that the letters keep within.
        rng: For what differs from letter to letter.
    """
    left, top, right, bottom = box
    lines = _lines(title.split())
    height = (bottom - top) / len(lines)
    colour = _readable(canvas, box)
    for number, line in enumerate(lines):
        mask = _squeezed(_cut(line, style, rng), right - left, height * 0.88, style)
        x = round((left + right - mask.width) / 2)
        y = round(top + number * height + (height - mask.height) / 2)
        _ink(canvas, mask, (x, y), style, colour, line)


def _readable(canvas: Canvas, box: tuple[float, float, float, float]) -> Colour:
    behind = brightness(canvas.mean(box))
    choices = (canvas.palette.accent, canvas.palette.haze, WHITE, canvas.palette.ink, BLACK)
    return next(
        (c for c in choices if abs(brightness(c) - behind) > 95),
        max(choices, key=lambda c: abs(brightness(c) - behind)),
    )


def _lines(words: Sequence[str]) -> list[str]:
    """Return the words on up to three lines; short words share the line of the next."""
    lines: list[str] = []
    held = ""
    for word in words:
        held = f"{held} {word}".strip()
        if len(word) > 3 or word is words[-1]:
            lines.append(held)
            held = ""
    if len(lines) == 2 and sum(map(len, lines)) < 11:
        return [" ".join(lines)]
    return lines if len(lines) <= 3 else [*lines[:2], " ".join(lines[2:])]


def letter_mask(text: str, size: int, stroke: int, *, space: int = 0) -> Image.Image:
    """Return text as a mask, white on black and cut to its edges, with ``space`` pixels more between letters."""
    font = _font(size)
    pieces, x = [], 0.0
    for letter in text if space else (text,):
        pieces.append((x, letter))
        x += font.getlength(letter) + space
    mask = Image.new("L", (round(x) + 2 * stroke + size, 2 * size))
    draw = ImageDraw.Draw(mask)
    for x, letter in pieces:
        draw.text((stroke + 4 + x, size // 4), letter, 255, font=font, stroke_width=stroke)
    return mask.crop(mask.getbbox())


def _cut(line: str, style: str, rng: Random) -> Image.Image:
    """Return the letters of a line as a mask, white on black, at whatever size they come out."""
    if style in _SPACED:
        return letter_mask(line, 52, 1, space=_SPACED[style])
    if style == "bounce":
        return _bounced(line, rng)
    mask = letter_mask(line, 64, {"slab": 4, "outline": 3}.get(style, 3), space=8 if style == "outline" else 2)
    if style == "slant":
        shift = mask.height * 0.28
        return mask.transform(
            (round(mask.width + shift), mask.height),
            Image.Transform.AFFINE,
            (1, 0.28, -shift, 0, 1, 0),
            Image.Resampling.BILINEAR,
        )
    if style == "drip":
        return _dripping(mask, rng)
    if style == "slab":
        return _serifed(mask)
    if style == "stencil":
        draw = ImageDraw.Draw(mask)
        draw.rectangle((0, mask.height * 0.47, mask.width, mask.height * 0.54), fill=0)
    return mask


def _bounced(line: str, rng: Random) -> Image.Image:
    letters = [
        letter_mask(letter, 60, 4).rotate(rng.uniform(-13, 13), Image.Resampling.BILINEAR, expand=True)
        if letter != " "
        else Image.new("L", (18, 8))
        for letter in line
    ]
    mask = Image.new("L", (sum(letter.width + 5 for letter in letters), max(letter.height for letter in letters) + 16))
    x = 2
    for number, letter in enumerate(letters):
        mask.paste(letter, (x, (mask.height - letter.height) // 2 + (5 if number % 2 else -5)))
        x += letter.width + 5
    return mask


def _dripping(mask: Image.Image, rng: Random) -> Image.Image:
    longer = Image.new("L", (mask.width, round(mask.height * 1.45)))
    longer.paste(mask, (0, 0))
    draw = ImageDraw.Draw(longer)
    foot = mask.height - 6
    row = np.asarray(mask)[foot]
    for x in range(3, mask.width - 3, 5):
        if row[x] > 200 and rng.random() < 0.6:
            r, end = rng.uniform(1.5, 3.5), foot + rng.uniform(0.05, 0.38) * mask.height
            draw.rectangle((x - r, foot, x + r, end), fill=255)
            draw.ellipse((x - r * 1.4, end - r, x + r * 1.4, end + r * 2), fill=255)
    return longer


def _serifed(mask: Image.Image) -> Image.Image:
    """Return letters with slabs at head and foot: what is there in the first and last rows, widened."""
    letters = np.asarray(mask).copy()
    depth = letters.shape[0] // 7
    for rows in (slice(0, depth), slice(letters.shape[0] - depth, None)):
        row = letters[rows].max(axis=0)
        wide = Image.fromarray(row[None, :]).resize((row.size, 1))
        letters[rows] = np.asarray(wide.filter(ImageFilter.MaxFilter(7)))
    return Image.fromarray(letters)


def _squeezed(mask: Image.Image, width: float, height: float, style: str) -> Image.Image:
    """Return the mask as large as fits: letters may be made narrower or wider than they were cut, within reason."""
    low, high = {"slab": (0.45, 0.8), "bounce": (0.7, 1.0), "wide": (0.75, 1.1)}.get(style, (0.55, 1.25))
    tall = min(height, width / (mask.width * low) * mask.height)
    wide = min(width, mask.width * tall / mask.height * high)
    return mask.resize((max(1, round(wide)), max(1, round(tall))), Image.Resampling.BILINEAR)


def _ink(canvas: Canvas, mask: Image.Image, place: tuple[int, int], style: str, colour: Colour, line: str) -> None:
    x, y = place
    contrast = BLACK if brightness(colour) > 110 else WHITE
    if style in ("outline", "bounce"):
        edge = ImageOps.expand(mask, 4).filter(ImageFilter.MaxFilter(5))
        paper = WHITE if style == "bounce" else contrast
        canvas.picture.paste(BLACK, (x - 2, y - 1), edge)
        canvas.picture.paste(paper, (x - 4, y - 4), edge)
    elif style == "neon":
        halo = ImageOps.expand(mask, 10).filter(ImageFilter.BoxBlur(5))
        canvas.picture.paste(colour, (x - 10, y - 10), halo)
        colour = blend(colour, WHITE, 0.6) if contrast == BLACK else colour
    else:
        canvas.picture.paste(contrast, (x + 2, y + 3), mask.point(HALF))
    if style != "bounce":
        canvas.picture.paste(colour, place, mask)
        return
    colours = Image.new("RGB", (len(line), 1))
    for number in range(len(line)):
        colours.putpixel((number, 0), RAINBOW[(len(line) + number) % len(RAINBOW)])
    canvas.picture.paste(colours.resize(mask.size, Image.Resampling.NEAREST), place, mask)
