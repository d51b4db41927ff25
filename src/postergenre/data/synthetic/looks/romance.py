"""Romance: hearts, couples, the kiss, roses."""

import math
from random import Random

from postergenre.data.synthetic import backdrops
from postergenre.data.synthetic.look import Look
from postergenre.data.synthetic.palette import BLACK, WHITE, Palette, blend, hexed
from postergenre.data.synthetic.pen import Pen
from postergenre.data.synthetic.people import stand

_REDS = tuple(hexed(code) for code in ("e0284f", "f0527a", "c8143c", "ff7f9f"))
_HEART = [
    (16 * math.sin(t) ** 3 / 17, -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 17)
    for t in (2 * math.pi * i / 48 for i in range(48))
]


def hearts(pen: Pen, rng: Random) -> None:
    """Draw hearts rising."""
    for _ in range(rng.randint(7, 11)):
        part = pen.moved(
            rng.uniform(-1.1, 1.1), rng.uniform(-0.8, 0.9), rng.uniform(0.1, 0.4), tilt=rng.uniform(-25, 25)
        )
        _heart(part, rng.choice(_REDS))


def _heart(pen: Pen, colour: tuple[int, int, int]) -> None:
    pen.polygon(_HEART, colour)
    pen.line([(-0.62, -0.45), (-0.5, -0.6), (-0.36, -0.64)], blend(colour, WHITE, 0.6), 0.1)


def big_heart(pen: Pen, rng: Random) -> None:
    """Draw one heart, whole or with an arrow through it."""
    colour = rng.choice(_REDS)
    pen.glow(0, 0, 1.5, WHITE, strength=0.5)
    pen.polygon([(1.06 * x, 1.06 * y) for x, y in _HEART], WHITE)
    _heart(pen, colour)
    if rng.random() < 0.5:
        gold = hexed("f5d27a")
        pen.line([(-1.05, 0.42), (-0.6, 0.24)], gold, 0.07)
        pen.line([(0.55, -0.24), (1.05, -0.45)], gold, 0.07)
        pen.polygon([(1.22, -0.52), (0.98, -0.56), (1.07, -0.32)], gold)
        for step in (0, 0.1, 0.2):
            pen.line([(-1.05 + step, 0.42 - step * 0.4), (-1.2 + step, 0.34 - step * 0.4)], gold, 0.04)
            pen.line([(-1.05 + step, 0.42 - step * 0.4), (-1.12 + step, 0.58 - step * 0.4)], gold, 0.04)


def kiss(pen: Pen, rng: Random) -> None:
    """Draw two profiles about to kiss, in a heart."""
    pen.polygon(
        [(1.12 * x, 1.12 * y + 0.02) for x, y in _HEART],
        rng.choice((hexed("ffd6dc"), hexed("ffe9c8"), hexed("ff8aa0"))),
    )
    man = blend(pen.palette.ink, BLACK, 0.45)
    for flip, colour in ((False, man), (True, blend(man, hexed("8a1030"), 0.55))):
        head = pen.moved(0, 0.05, 0.9, flip=flip)
        profile = [
            (-0.3, 0.78),
            (-0.3, 0.36),
            (-0.14, 0.32),
            (-0.09, 0.24),
            (-0.1, 0.17),
            (-0.05, 0.13),
            (-0.07, 0.08),
            (-0.04, 0.03),
            (-0.09, -0.03),
            (-0.03, -0.1),
            (-0.1, -0.24),
            (-0.1, -0.4),
            (-0.2, -0.56),
            (-0.42, -0.62),
            (-0.62, -0.5),
            (-0.68, -0.25),
            (-0.58, 0.02),
            (-0.56, 0.4),
            (-0.68, 0.55),
            (-0.62, 0.8),
        ]
        head.polygon(profile, colour)
        if flip:
            head.blob(
                [(-0.3, -0.6), (-0.6, -0.55), (-0.82, -0.15), (-0.78, 0.35), (-0.6, 0.5), (-0.5, 0.1), (-0.4, -0.2)],
                colour,
            )


def rose(pen: Pen, rng: Random) -> None:
    """Draw a rose on its stem."""
    red, green = rng.choice(_REDS[:3]), hexed("2f7a42")
    pen.line([(0, -0.2), (0.05, 0.4), (-0.03, 1.05)], green, 0.07)
    pen.blob([(0.03, 0.4), (0.3, 0.2), (0.5, 0.25), (0.3, 0.45)], green)
    pen.blob([(0, 0.65), (-0.3, 0.45), (-0.5, 0.52), (-0.28, 0.7)], green)
    pen.blob(
        [(-0.5, -0.65), (-0.3, -0.85), (0, -0.9), (0.3, -0.85), (0.5, -0.65), (0.42, -0.2), (0, 0), (-0.42, -0.2)], red
    )
    for x, y, r in ((-0.2, -0.3, 0.28), (0.2, -0.3, 0.28), (0, -0.5, 0.33)):
        pen.ellipse(x, y, r, colour=blend(red, BLACK, 0.25))
        pen.ellipse(x + 0.01, y - 0.04, r * 0.92, colour=red)
    for r, share in ((0.2, 0.35), (0.15, 0.0), (0.09, 0.35), (0.05, 0.0)):
        pen.ellipse(0, -0.56, r, r * 0.8, colour=blend(red, BLACK, share))


def couple(pen: Pen, rng: Random) -> None:
    """Draw two people hand in hand on a hill before a low sun or a heart."""
    ink = blend(pen.palette.ink, BLACK, 0.3)
    if rng.random() < 0.6:
        _heart(pen.moved(0, -0.5, rng.uniform(0.42, 0.58)), rng.choice(_REDS))
    else:
        pen.ellipse(0, -0.3, 0.5, colour=hexed("ffe2b0"))
    pen.blob([(-1.6, 0.3), (-0.6, 0.14), (0, 0.08), (0.6, 0.14), (1.6, 0.3), (1.6, 3), (-1.6, 3)], ink, noted=False)
    stand(pen.moved(-0.17, -0.26, 0.4), ink, stance=0.12, arm=0.34)
    stand(pen.moved(0.17, -0.23, 0.37), ink, dress=True, stance=0.08, arm=0.38)
    for _ in range(rng.randint(2, 5)):
        small = pen.moved(
            rng.uniform(-0.7, 0.7), rng.uniform(-0.9, -0.5), rng.uniform(0.04, 0.09), tilt=rng.uniform(-20, 20)
        )
        _heart(small, rng.choice(_REDS))


LOOK = Look(
    palettes=(
        Palette.of("f59ab0", "ffd9c8", "8a2348", "fff0e4", "c2143f"),
        Palette.of("7a3a7a", "ff9a86", "3a1438", "ffd0b0", "fff0e0"),
        Palette.of("fbe3e3", "fbc3cb", "a83a5a", "ffffff", "c81f4a"),
        Palette.of("2f3f7a", "f2a0a8", "231a3c", "ffd8c0", "ffe6ea"),
        Palette.of("f7a65c", "ffdca0", "7a2a2a", "fff3d0", "b01f3a"),
    ),
    backdrops=(backdrops.bokeh, backdrops.bokeh, backdrops.plain, backdrops.stars, backdrops.clouds),
    skies=(hearts, hearts, big_heart),
    heroes=(big_heart, kiss, kiss, rose),
    grounds=(couple,),
    lettering=("wide", "wide", "heavy", "outline"),
    firsts=("DEAREST", "TENDER", "SUMMER", "FOREVER", "SWEET", "ALWAYS", "THE FIRST", "SECRET"),
    lasts=("KISS", "VALENTINE", "ROSES", "SWEETHEARTS", "LOVE", "HEARTS", "WEDDING", "ROMANCE"),
    taglines=("Some hearts only open once.", "She was not looking for love.", "Two strangers. One summer."),
)
