"""The pictures a user looks at: one annotated poster, or a sheet of many."""

import math
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

from postergenre.errors import ConfigError

PAGE, CARD, WELL = "#f7f6f2", "#ffffff", "#eceae4"
"""Backgrounds: of the picture, of a card on it, and behind a poster that does not fill its place."""
INK, MUTED, TRACK, LINE = "#1c1f26", "#5f6673", "#e6e4de", "#d5d2ca"
ABOVE, BELOW = "#2f6fed", "#a5abb7"
"""Bars at or above, and below, their threshold."""
RIGHT, WRONG = "#00795a", "#c94f00"
"""Bluish green and vermilion: told apart by colour-blind readers too, and by the shape of the mark in any case."""
HEIGHTS = (40, 4000)
CARD_ROWS = 5
SHARP = 4
"""Shapes are drawn this many times larger and reduced, because ImageDraw does not smooth edges."""
PLAIN = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"})

Box = tuple[int, int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the classifier says about one genre of one poster."""

    genre: str
    probability: float
    """0 … 1; a value that is not finite is shown as ``n/a``."""
    threshold: float = 0.5
    """The genre is predicted from this probability upwards."""
    truth: bool | None = None
    """Whether the film has the genre; None where nobody knows."""

    @property
    def predicted(self) -> bool:
        """Whether the genre is given to the poster."""
        return self.probability >= self.threshold

    @property
    def mark(self) -> str | None:
        """``found``, ``missed`` or ``false alarm``; None for a correct no and for an unknown truth."""
        if self.truth is None:
            return None
        if self.predicted:
            return "found" if self.truth else "false alarm"
        return "missed" if self.truth else None


def annotate(poster: Image.Image, answers: Sequence[Answer], *, title: str = "", height: int = 600) -> Image.Image:
    """Return the poster with one probability bar per answer beside it, in the order given.

    Args:
        poster: Any mode; EXIF orientation is applied and transparency laid on white.
        answers: One bar each. Many answers on a low picture make it higher than ``height``.
        title: Written above the bars, for example the file name; shortened in the middle if too long.
        height: Of the poster, in pixels. Its width lies in ``height / 2 … height``; other shapes are padded.

    Returns:
        An RGB picture.

    Raises:
        ConfigError: ``height`` is out of range.
    """
    unit = max(_checked(height) / 600, 0.6)
    poster = _upright(poster)
    margin, gap, width = round(36 * unit), round(40 * unit), round(500 * unit)
    place = min(max(round(height * poster.width / poster.height), height // 2), height)
    head, foot = round(54 * unit) if title else 0, round(40 * unit)
    count = max(len(answers), 1)
    row = min(max((height - head - foot) // count, round(21 * unit)), round(56 * unit))
    body = max(height, head + row * count + foot)

    page = _Page(place + gap + width + 2 * margin, body + 2 * margin, PAGE)
    page.poster(poster, (margin, margin, margin + place, margin + height), radius=round(10 * unit))
    left, right, top = margin + place + gap, margin + place + gap + width, margin
    if title:
        font = _font(23 * unit)
        page.text((left, top + 14 * unit), _elided(title, font, width, tail=8), font, INK)
        page.rounded((left, top + round(36 * unit), right, top + round(36 * unit) + 1), LINE)
        top += head
    _rows(page, answers, (left, top, right, top + row * len(answers)), unit)
    if answers:
        _legend(page, answers, (left, right, margin + body - round(9 * unit)), unit)
    return page.image


def contact_sheet(
    cards: Sequence[tuple[Image.Image, Sequence[Answer]]],
    *,
    columns: int = 4,
    poster_height: int = 220,
    card_width: float = 0.9,
    note: str = "",
) -> Image.Image:
    """Return a grid of cards: each poster over its most telling genres, at most five.

    True and predicted genres come before all others, so that neither a hit nor a mistake is hidden by a mere rank;
    the chosen ones are sorted by probability.

    Args:
        cards: Poster and answers of each card, in reading order.
        columns: Cards per line, fewer when there are fewer cards.
        poster_height: In pixels.
        card_width: As a share of ``poster_height``.
        note: Written small below the cards, on the right.

    Returns:
        An RGB picture.

    Raises:
        ConfigError: ``columns`` or ``poster_height`` is out of range.
    """
    if columns < 1:
        raise ConfigError(f"a contact sheet needs at least 1 column, not {columns}")
    unit = max(_checked(poster_height) / 220, 0.7)
    chosen = [_telling(answers) for _, answers in cards]
    across = max(min(columns, len(cards)), 1)
    down = math.ceil(len(cards) / across)
    gap, pad, row = round(18 * unit), round(13 * unit), round(30 * unit)
    width = round(card_width * 220 * unit)
    height = poster_height + (2 * pad + row * max(map(len, chosen)) if any(chosen) else 0)
    foot = round((34 if across > 1 else 56) * unit) if any(chosen) else 0

    page = _Page(across * (width + gap) + gap, down * (height + gap) + gap + foot, PAGE)
    for place, ((poster, _), answers) in enumerate(zip(cards, chosen, strict=True)):
        left, top = gap + place % across * (width + gap), gap + place // across * (height + gap)
        page.rounded((left - 1, top - 1, left + width + 1, top + height + 1), LINE, radius=round(10 * unit) + 1)
        page.rounded((left, top, left + width, top + height), CARD, radius=round(10 * unit))
        box = (left, top, left + width, top + poster_height)
        page.poster(_upright(poster), box, radius=round(10 * unit), flat=any(chosen))
        top += poster_height + pad
        _mini_rows(page, answers, (left + pad, top, left + width - pad, top + row * len(answers)), unit)
    if foot:
        answers = [answer for row_of_card in chosen for answer in row_of_card]
        right, middle = page.image.width - gap, page.image.height - foot + round(7 * unit)
        _legend(page, answers, (gap, right, middle), 0.85 * unit)
        font = _font(0.85 * 14 * unit)
        page.text((right, middle), _elided(note, font, page.image.width // 2), font, MUTED, anchor="rm")
    return page.image


def _rows(page: "_Page", answers: Sequence[Answer], box: Box, unit: float) -> None:
    """Draw aligned columns: genre, bar, percent and, where any truth is known, its mark."""
    if not answers:
        return
    left, top, right, bottom = box
    row = (bottom - top) // len(answers)
    font = _font(min(19 * unit, 0.62 * row))
    marked = any(answer.truth is not None for answer in answers)
    widest = max(font.getlength(_plain(answer.genre)) for answer in answers)
    names = min(math.ceil(widest), round(0.4 * (right - left)))
    last = right - (round(34 * unit) if marked else 0)
    bar_left, bar_right = left + names + round(18 * unit), last - round(66 * unit)
    thick = max(round(min(18 * unit, 0.5 * row)), 4)
    for answer in answers:
        middle = top + row // 2
        colour = INK if answer.predicted else MUTED
        page.text((left, middle), _elided(answer.genre, font, names), font, colour)
        page.bar(answer, (bar_left, middle - thick // 2, bar_right, middle - thick // 2 + thick))
        page.text((last, middle), _percent(answer), font, colour, anchor="rm")
        if answer.mark:
            page.mark(answer.mark, (right - round(9 * unit), middle), min(round(19 * unit), row - 3))
        top += row


def _mini_rows(page: "_Page", answers: Sequence[Answer], box: Box, unit: float) -> None:
    """Draw the rows of a card: genre, percent and mark in one line, a thin bar below them."""
    left, top, right, bottom = box
    font = _font(13.5 * unit)
    size = round(13 * unit)
    marked = any(answer.truth is not None for answer in answers)
    last = right - (round(19 * unit) if marked else 0)
    for answer in answers:
        middle, line = top + round(8 * unit), top + round(20 * unit)
        colour = INK if answer.predicted else MUTED
        name = _elided(answer.genre, font, last - left - round(42 * unit))
        page.text((left, middle), name, font, colour)
        page.text((last, middle), _percent(answer), font, colour, anchor="rm")
        if answer.mark:
            page.mark(answer.mark, (right - size // 2, middle), size)
        page.bar(answer, (left, line, right, line + max(round(4 * unit), 3)))
        top += (bottom - box[1]) // len(answers)


def _legend(page: "_Page", answers: Iterable[Answer], at: tuple[int, int, int], unit: float) -> None:
    """Explain the tick and, where any truth is known, the marks; ``at`` is left, right and middle of the line."""
    left, right, middle = at
    font, size = _font(14 * unit), round(15 * unit)
    known = any(answer.truth is not None for answer in answers)
    for name in ("threshold", *(("found", "missed", "false alarm") if known else ())):
        if left + 1.4 * size + font.getlength(name) > right:
            left, middle = at[0], middle + round(24 * unit)
        if name == "threshold":
            page.tick(left + size // 4, middle - size // 2, middle + size // 2)
        else:
            page.mark(name, (left + size // 2, middle), size)
        left += round(size * (0.9 if name == "threshold" else 1.4))
        page.text((left, middle), name, font, MUTED)
        left += round(font.getlength(name) + 20 * unit)


class _Page:
    """A canvas with the few shapes of this design, all with smooth edges."""

    def __init__(self, width: int, height: int, colour: str) -> None:
        self.image = Image.new("RGB", (width, height), colour)
        self._draw = ImageDraw.Draw(self.image)

    def text(self, at: tuple[float, float], text: str, font: Font, colour: str, *, anchor: str = "lm") -> None:
        """Write one line; ``at`` is its left (``lm``) or right (``rm``) end, at half its height."""
        self._draw.text((round(at[0]), round(at[1])), text, fill=colour, font=font, anchor=anchor)

    def rounded(self, box: Box, colour: str, *, radius: int = 0) -> None:
        self.image.paste(colour, box, _rounded_mask(box[2] - box[0], box[3] - box[1], radius))

    def bar(self, answer: Answer, box: Box) -> None:
        """Draw the track, the bar of the probability and the threshold tick."""
        left, top, right, bottom = box
        thick = bottom - top
        self.rounded(box, TRACK, radius=thick // 2)
        length = round(_share(answer.probability) * (right - left))
        if length:  # cut out of the full shape: a short bar stays inside the rounded end of its track
            mask = _rounded_mask(right - left, thick, thick // 2).copy()
            end = _rounded_mask(max(length, thick), thick, thick // 2)
            shape = Image.new("L", mask.size)
            shape.paste(end, (length - end.width, 0))
            mask.paste(0, mask=ImageOps.invert(shape))
            self.image.paste(ABOVE if answer.predicted else BELOW, box, mask)
        self.tick(left + round(_share(answer.threshold) * (right - left)), top - 2, bottom + 2)

    def tick(self, across: int, top: int, bottom: int) -> None:
        """Draw a threshold: a dark line with a light edge, so that it shows on the bar and on the track."""
        half = max((bottom - top) // 14, 1)
        self.rounded((across - half - 1, top + 2, across + half + 1, bottom - 2), CARD)
        self.rounded((across - half, top, across + half, bottom), INK)

    def mark(self, name: str, centre: tuple[int, int], size: int) -> None:
        """Draw a disc with a check (found), a ring (missed) or a cross (false alarm)."""
        side = SHARP * size
        colour = WRONG if name == "false alarm" else RIGHT
        tile = Image.new("RGBA", (side, side))
        draw = ImageDraw.Draw(tile)
        stroke = max(round(0.13 * side), 1)
        if name == "found":
            draw.ellipse((0, 0, side - 1, side - 1), fill=colour)
            check = [(0.26 * side, 0.52 * side), (0.44 * side, 0.70 * side), (0.75 * side, 0.34 * side)]
            draw.line(check, CARD, stroke, joint="curve")
        elif name == "missed":
            draw.ellipse((0.04 * side, 0.04 * side, 0.96 * side, 0.96 * side), outline=colour, width=stroke)
        else:
            draw.line([(0.16 * side, 0.16 * side), (0.84 * side, 0.84 * side)], colour, stroke)
            draw.line([(0.16 * side, 0.84 * side), (0.84 * side, 0.16 * side)], colour, stroke)
        tile = tile.resize((size, size), Image.Resampling.LANCZOS)
        self.image.paste(tile, (centre[0] - size // 2, centre[1] - size // 2), tile)

    def poster(self, poster: Image.Image, box: Box, *, radius: int, flat: bool = False) -> None:
        """Show the whole poster as large as ``box`` allows, in the middle of it; ``flat`` keeps its lower corners."""
        width, height = box[2] - box[0], box[3] - box[1]
        scale = min(width / poster.width, height / poster.height)
        size = (max(round(scale * poster.width), 1), max(round(scale * poster.height), 1))
        place = Image.new("RGB", (width, height), WELL)
        scaled = poster.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        place.paste(scaled, ((width - size[0]) // 2, (height - size[1]) // 2))
        mask = _rounded_mask(width, height + radius * flat, radius).crop((0, 0, width, height))
        self.image.paste(place, box, mask)


def _upright(poster: Image.Image) -> Image.Image:
    # `preprocess` has the same step for networks, but needs torch; here only looks count.
    poster = ImageOps.exif_transpose(poster)
    if poster.mode.startswith("I"):  # 16 bits: Pillow's own conversion would clip at 255
        poster = poster.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if poster.has_transparency_data:
        poster = poster.convert("RGBA")
        poster = Image.alpha_composite(Image.new("RGBA", poster.size, CARD), poster)
    return poster.convert("RGB")


def _telling(answers: Sequence[Answer]) -> list[Answer]:
    by_probability = sorted(answers, key=lambda answer: -_share(answer.probability))
    first = sorted(by_probability, key=lambda answer: not (answer.predicted or answer.truth))[:CARD_ROWS]
    return sorted(first, key=lambda answer: -_share(answer.probability))


def _rounded_mask(width: int, height: int, radius: int) -> Image.Image:
    """Return mode ``L``, white inside; only the corners are drawn large, so that a big box costs no more."""
    mask = Image.new("L", (width, height), 255)
    radius = min(radius, width // 2, height // 2)
    if radius:
        disc = Image.new("L", (2 * radius * SHARP, 2 * radius * SHARP))
        ImageDraw.Draw(disc).ellipse((0, 0, disc.width - 1, disc.height - 1), fill=255)
        disc = disc.resize((2 * radius, 2 * radius), Image.Resampling.BOX)
        for x in (0, 1):
            for y in (0, 1):
                corner = disc.crop((x * radius, y * radius, (x + 1) * radius, (y + 1) * radius))
                mask.paste(corner, (x * (width - radius), y * (height - radius)))
    return mask


def _font(size: float) -> Font:
    return ImageFont.load_default(max(round(size), 10))


def _plain(text: str) -> str:
    """Return ``text`` in the letters that the embedded font has: accents dropped, ``?`` for what is left."""
    letters = unicodedata.normalize("NFKD", text[:400].translate(PLAIN))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in letters if not unicodedata.combining(letter))


def _elided(text: str, font: Font, width: int, *, tail: int = 0) -> str:
    """Return ``text`` in at most ``width`` pixels, keeping its last ``tail`` letters."""
    text = _plain(text)
    if font.getlength(text) <= width:
        return text
    end = text[len(text) - tail :]
    kept = len(text) - tail
    while kept > 0 and font.getlength(f"{text[:kept]}…{end}") > width:
        kept -= 1
    return f"{text[:kept].rstrip()}…{end}"


def _percent(answer: Answer) -> str:
    return f"{_share(answer.probability):.0%}" if math.isfinite(answer.probability) else "n/a"


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0) if math.isfinite(value) else 0.0


def _checked(height: int) -> int:
    if not HEIGHTS[0] <= height <= HEIGHTS[1]:
        raise ConfigError(f"the height of a poster in a picture must lie in {HEIGHTS[0]} … {HEIGHTS[1]}, not {height}")
    return height
