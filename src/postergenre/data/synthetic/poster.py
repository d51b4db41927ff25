"""One poster: which motif stands where, over which backdrop, under which title."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image

from postergenre.data.synthetic.billing import cast_of, readable, write_credits, write_line
from postergenre.data.synthetic.canvas import HEIGHT, WIDTH, Canvas
from postergenre.data.synthetic.lettering import write_title
from postergenre.data.synthetic.looks import LOOKS
from postergenre.data.synthetic.mixture import GENRES
from postergenre.data.synthetic.palette import blend, brightness
from postergenre.data.synthetic.pen import Box, Pen
from postergenre.errors import DataError

_LAYOUTS = {
    1: (("hero",), ("sky", "ground"), ("hero", "ground")),
    2: (("hero", "ground"), ("sky", "ground"), ("sky", "hero"), ("hero", "ground")),
    3: (("sky", "hero", "ground"),),
}
_WEAK = 0.12
"""How often a genre beside the first shows only small and pale."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoPoster:
    """A drawn poster and what is on it."""

    picture: Image.Image
    """RGB, 200 by 300 pixels."""
    genres: tuple[str, ...]
    """In the order of the alphabet."""
    boxes: dict[str, Box]
    """For each genre left, top, right and bottom, in pixels, of the motif that makes it."""


def draw_poster(genres: Sequence[str], *, seed: int) -> DemoPoster:
    """Return the poster of a film: the same genres, in any order, and seed give the same pixels.

    Args:
        genres: One to three of ``GENRES``.
        seed: Any integer.

    Raises:
        DataError: A genre cannot be drawn.
        ValueError: No genre, or more than fit on a poster.
    """
    if unknown := sorted(set(genres) - set(GENRES)):
        raise DataError(f"cannot draw the genre(s) {', '.join(unknown)}; known: {', '.join(GENRES)}")
    names = tuple(genre for genre in GENRES if genre in genres)
    if not 1 <= len(names) <= 3:
        raise ValueError(f"a demo poster has 1 to 3 genres, not {len(names)}; known: {', '.join(GENRES)}")
    rng = Random(f"{'|'.join(names)}#{seed}")
    leading = rng.sample(names, len(names))
    look = LOOKS[leading[0]]
    canvas = Canvas(rng.choice(look.palettes).varied(rng))
    rng.choice(look.backdrops)(canvas, rng)
    title_on_top = rng.random() < 0.3
    boxes = _place_motifs(canvas, leading, rng, lift=-12 if not title_on_top else 76)
    _write(canvas, leading, rng, on_top=title_on_top)
    return DemoPoster(picture=canvas.finished(), genres=names, boxes=boxes)


def _place_motifs(canvas: Canvas, leading: Sequence[str], rng: Random, *, lift: float) -> dict[str, Box]:
    layout = rng.choice(_LAYOUTS[len(leading)])
    owners = dict(zip(rng.sample(layout, len(layout)), [*leading, *leading], strict=False))
    boxes: dict[str, Box] = {}
    for slot in ("sky", "hero", "ground"):
        if slot in owners:
            genre = owners[slot]
            weak = genre != leading[0] and slot != "ground" and rng.random() < _WEAK
            pen = _pen(canvas, slot, owners, rng, lift=lift, weak=weak)
            look = LOOKS[genre]
            rng.choice({"sky": look.skies, "hero": look.heroes, "ground": look.grounds}[slot])(pen, rng)
            box = pen.box()
            assert box is not None, f"{genre} drew nothing in the {slot}"
            boxes[genre] = _union(boxes[genre], box) if genre in boxes else box
    if "ground" not in owners:
        tone = canvas.palette.ink if rng.random() < 0.8 else blend(canvas.palette.ink, canvas.palette.low, 0.25)
        canvas.fade(HEIGHT * 0.65, HEIGHT * 0.8, tone, strength=0.96)
    return {genre: boxes[genre] for genre in sorted(boxes)}


def _pen(canvas: Canvas, slot: str, owners: dict[str, str], rng: Random, *, lift: float, weak: bool) -> Pen:
    crowd = len(owners)
    flip = rng.random() < 0.5
    if slot == "ground":
        horizon = 425 + lift * 0.9 + rng.uniform(-16, 14)
        canvas.glow(WIDTH * rng.uniform(0.3, 0.7), horizon, 240, canvas.palette.haze, strength=0.75)
        return Pen(canvas, WIDTH / 2, horizon, WIDTH / 2, flip)
    if slot == "sky":
        high = 105 if crowd == 3 else 135
        x, y, size = WIDTH / 2 + rng.uniform(-75, 75), high + lift + rng.uniform(-15, 20), rng.uniform(72, 100)
        size *= 1.2 if crowd < 3 else 1.0
    else:
        high = {1: 255, 2: 250, 3: 295}[crowd] + (48 if "ground" not in owners and "sky" in owners else 0)
        x, y = WIDTH / 2 + rng.uniform(-35, 35), high + lift * 0.85 + rng.uniform(-12, 12)
        size = rng.uniform(128, 158) if "sky" not in owners else rng.uniform(98, 118)
        around = canvas.mean((x - size, y - size, x + size, y + size))
        if brightness(around) < 120:
            canvas.glow(x, y, size * 1.5, blend(canvas.palette.haze, around, 0.1), strength=0.8)
    tilt = rng.uniform(-6, 6)
    if weak:
        return Pen(canvas, x + rng.uniform(-60, 60), y, size * 0.55, flip, tilt, rng.uniform(0.4, 0.7))
    return Pen(canvas, x, y, size, flip, tilt)


def _write(canvas: Canvas, leading: Sequence[str], rng: Random, *, on_top: bool) -> None:
    first, last = LOOKS[leading[0]], LOOKS[leading[-1]]
    title = f"{rng.choice(first.firsts)} {rng.choice(last.lasts)}"
    style = rng.choice(first.lettering)
    top, bottom = (34, 124) if on_top else (446, 524)
    write_title(canvas, title, style, (30, top, WIDTH - 30, bottom), rng)
    tagline = rng.choice(LOOKS[rng.choice(leading)].taglines)
    heights = (132, 530) if on_top else (12, 530)
    lines = [(tagline, 14), (cast_of(rng), 15)] if rng.random() < 0.5 else [(cast_of(rng), 15), (tagline, 14)]
    for (text, size), y in zip(lines, heights, strict=True):
        write_line(canvas, text, y, size=size, colour=readable(canvas, y, size), alpha=0.9)
    write_credits(canvas, rng, title)


def _union(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])
