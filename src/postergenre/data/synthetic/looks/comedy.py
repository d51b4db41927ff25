"""Comedy: laughing faces, joke glasses, party hats, balloons, bunting and confetti."""

import math
from random import Random

from postergenre.data.synthetic import backdrops
from postergenre.data.synthetic.look import Look
from postergenre.data.synthetic.palette import BLACK, WHITE, Palette, blend, hexed
from postergenre.data.synthetic.pen import Pen

_YELLOW, _PINK = hexed("ffd21f"), hexed("ff6f91")
_PARTY = tuple(hexed(code) for code in ("ee3f4f", "2f9be8", "37b45b", "ff8a1f", "a64fd0", "ffd21f"))


def laughing_face(pen: Pen, rng: Random) -> None:
    """Draw a round face in laughter."""
    skin = rng.choice((_YELLOW, _YELLOW, hexed("ffb02e"), hexed("ffe066")))
    pen.ellipse(0, 0, 0.97, colour=blend(skin, hexed("b05a00"), 0.55))
    pen.ellipse(0, -0.01, 0.92, colour=skin)
    kind = rng.choice(("open", "closed", "wink", "shades"))
    for side in (-1, 1):
        if kind == "shades":
            pen.polygon(
                [
                    (side * 0.08, -0.38),
                    (side * 0.72, -0.42),
                    (side * 0.66, -0.05),
                    (side * 0.4, 0.02),
                    (side * 0.14, -0.08),
                ],
                BLACK,
            )
            pen.line([(0, -0.34), (side * 0.9, -0.4)], BLACK, 0.07)
        elif kind == "open" or (kind == "wink" and side > 0):
            pen.ellipse(side * 0.34, -0.28, 0.12, 0.2, colour=BLACK)
            pen.ellipse(side * 0.34 - 0.03, -0.36, 0.04, 0.06, colour=WHITE)
        else:
            pen.line([(side * 0.16, -0.2), (side * 0.26, -0.34), (side * 0.4, -0.34), (side * 0.5, -0.2)], BLACK, 0.075)
        pen.ellipse(side * 0.63, 0.08, 0.14, 0.1, colour=_PINK, alpha=0.6)
    mouth = [(0.62 * math.cos(math.pi * i / 16), 0.16 + 0.58 * math.sin(math.pi * i / 16)) for i in range(17)]
    pen.polygon(mouth, hexed("6b1420"))
    pen.polygon([(-0.58, 0.17), (0.58, 0.17), (0.53, 0.32), (-0.53, 0.32)], WHITE)
    pen.ellipse(0, 0.62, 0.28, 0.13, colour=_PINK)


def joke_glasses(pen: Pen, rng: Random) -> None:
    """Draw glasses with a big nose and a moustache."""
    skin = rng.choice((hexed("f2b48c"), hexed("e89a70")))
    for side in (-1, 1):
        pen.blob([(side * 0.14, -0.62), (side * 0.45, -0.9), (side * 0.85, -0.68), (side * 0.48, -0.7)], BLACK)
        pen.ellipse(side * 0.47, -0.22, 0.42, colour=BLACK)
        pen.ellipse(side * 0.47, -0.22, 0.32, colour=WHITE)
        pen.ellipse(side * 0.4, -0.16, 0.1, colour=BLACK)
        pen.line([(side * 0.85, -0.3), (side * 1.05, -0.42)], BLACK, 0.1)
    pen.line([(-0.1, -0.28), (0.1, -0.28)], BLACK, 0.1)
    for side in (-1, 1):
        pen.blob(
            [
                (0, 0.42),
                (side * 0.35, 0.36),
                (side * 0.72, 0.62),
                (side * 0.85, 0.5),
                (side * 0.68, 0.88),
                (side * 0.3, 0.8),
                (0, 0.64),
            ],
            BLACK,
        )
    pen.blob(
        [(-0.1, -0.25), (0.1, -0.25), (0.2, 0.1), (0.34, 0.3), (0.18, 0.5), (-0.18, 0.5), (-0.34, 0.3), (-0.2, 0.1)],
        skin,
    )
    pen.ellipse(-0.1, 0.22, 0.06, 0.09, colour=WHITE, alpha=0.5)


def balloons(pen: Pen, rng: Random) -> None:
    """Draw a bunch of balloons and confetti."""
    colours = rng.sample(_PARTY, 5)
    for colour, x, y in zip(colours, (-0.55, 0.5, -0.1, 0.25, -0.3), (-0.2, -0.3, -0.6, 0.1, 0.2), strict=True):
        x, y = x + rng.uniform(-0.1, 0.1), y + rng.uniform(-0.1, 0.1)
        pen.line([(x, y + 0.3), (x * 0.4, 0.8), (0, 1.15)], blend(colour, BLACK, 0.4), 0.015)
        pen.blob(
            [
                (x, y - 0.4),
                (x + 0.3, y - 0.15),
                (x + 0.2, y + 0.2),
                (x, y + 0.36),
                (x - 0.2, y + 0.2),
                (x - 0.3, y - 0.15),
            ],
            colour,
        )
        pen.polygon([(x, y + 0.33), (x + 0.05, y + 0.42), (x - 0.05, y + 0.42)], colour)
        pen.ellipse(x - 0.12, y - 0.18, 0.06, 0.1, colour=WHITE, alpha=0.7)
    _confetti(pen, rng, 26)


def bunting(pen: Pen, rng: Random) -> None:
    """Draw strings of pennants over the whole width, and confetti."""
    line = pen.level()
    reach = 205 / line.size
    for row, sag in ((-0.6, 0.5), (-0.05, 0.35)):
        for i in range(9):
            a, b = (-1 + 2 * (i + part) / 9 for part in (0.1, 0.9))
            ya, yb = (row + sag * (1 - t * t) for t in (a, b))
            line.line([(a * reach, ya), (b * reach, yb)], BLACK, 0.02)
            line.polygon(
                [(a * reach, ya), (b * reach, yb), ((a + b) / 2 * reach, (ya + yb) / 2 + 0.42)],
                _PARTY[(i + (row > -0.3)) % 6],
            )
    _confetti(pen, rng, 30)


def _confetti(pen: Pen, rng: Random, count: int) -> None:
    for _ in range(count):
        bit = pen.moved(rng.uniform(-1.2, 1.2), rng.uniform(-1, 1.3), 0.05, tilt=rng.uniform(0, 90))
        bit.polygon([(-1, -0.5), (1, -0.5), (1, 0.5), (-1, 0.5)], rng.choice(_PARTY))


def party(pen: Pen, rng: Random) -> None:
    """Draw a row of faces in party hats looking over the edge."""
    floor = rng.choice(_PARTY[:5])
    places = (-0.72, 0.02, 0.74) if rng.random() < 0.6 else (-0.45, 0.45)
    for x in places:
        face = pen.moved(x, rng.uniform(-0.12, -0.02), 0.92 / (len(places) + 0.4), tilt=rng.uniform(-12, 12))
        hat = rng.choice(_PARTY[:5])
        face.polygon([(-0.5, -0.72), (0.5, -0.72), (0.05, -1.75)], hat)
        face.polygon([(-0.38, -1.0), (0.38, -1.0), (0.27, -1.25), (-0.27, -1.25)], blend(hat, WHITE, 0.6))
        face.ellipse(0.05, -1.75, 0.15, colour=WHITE)
        laughing_face(face, rng)
    pen.polygon([(-1.1, 0.22), (1.1, 0.22), (1.1, 3), (-1.1, 3)], floor, noted=False)
    pen.polygon([(-1.1, 0.22), (1.1, 0.22), (1.1, 0.27), (-1.1, 0.27)], WHITE, noted=False)


LOOK = Look(
    palettes=(
        Palette.of("ffd93b", "ffb01f", "e8472b", "fff3a8", "d81f3f"),
        Palette.of("2fc0e8", "9be8f5", "1f6fb8", "ffffff", "ff4f2f"),
        Palette.of("ff8fb0", "ffd0c0", "d8346a", "fff0e0", "b8124f"),
        Palette.of("f7f3e8", "ffe9b0", "e05a2a", "ffffff", "e0202f"),
        Palette.of("7fd06a", "e8f59b", "2a8a4a", "fffbd0", "c8202f"),
    ),
    backdrops=(backdrops.rays, backdrops.rays, backdrops.halftone, backdrops.plain, backdrops.bokeh),
    skies=(balloons, bunting, joke_glasses, laughing_face),
    heroes=(laughing_face, joke_glasses, laughing_face, balloons),
    grounds=(party,),
    lettering=("bounce", "outline", "outline", "heavy"),
    firsts=("MY BIG FAT", "TWO", "OOPS", "HOLY", "THE AWKWARD", "CRAZY", "TOTALLY", "HALF BAKED"),
    lasts=("BIRTHDAY", "IN-LAWS", "ROOMMATES", "DISASTER", "WEEKEND", "NEIGHBOURS", "BANANAS", "PARTY"),
    taglines=("What could possibly go wrong?", "RSVP at your own risk.", "Family. You cannot return it."),
)
