"""Science fiction: ringed planets, rockets, saucers, astronauts, colonies under domes."""

import math
from random import Random

from postergenre.data.synthetic import backdrops
from postergenre.data.synthetic.look import Look
from postergenre.data.synthetic.palette import BLACK, WHITE, Palette, blend, hexed
from postergenre.data.synthetic.pen import Pen

_STEEL, _CYAN = hexed("c9d4de"), hexed("6cf0ff")


def planet(pen: Pen, rng: Random) -> None:
    """Draw a planet with a ring and a moon."""
    colour = rng.choice(tuple(hexed(code) for code in ("d98c5f", "5fa8d9", "9a6fd0", "4fb89a", "d96a7c")))
    pen = pen.moved(0, 0, 1, tilt=rng.uniform(-28, -8))
    ring = blend(colour, WHITE, 0.55)
    pen.glow(0, 0, 1.2, blend(colour, WHITE, 0.3), strength=0.6)
    _ring(pen, ring, math.pi)
    pen.ellipse(0, 0, 0.62, colour=blend(colour, BLACK, 0.45))
    pen.ellipse(-0.07, -0.06, 0.54, 0.55, colour=colour)
    for y, half in ((-0.3, 0.4), (-0.02, 0.5), (0.25, 0.42)):
        pen.ellipse(-0.06, y, half, 0.055, colour=blend(colour, WHITE, 0.25), alpha=0.7)
    _ring(pen, ring, 0)
    pen.ellipse(0.85, -0.6, 0.11, colour=_STEEL)


def _ring(pen: Pen, colour: tuple[int, int, int], start: float) -> None:
    angles = [start + math.pi * i / 24 for i in range(25)]
    for outer, inner, share in ((1.15, 0.98, 0.0), (0.95, 0.8, 0.25)):
        edge = [(outer * math.cos(a), outer * 0.27 * math.sin(a)) for a in angles]
        back = [(inner * math.cos(a), inner * 0.27 * math.sin(a)) for a in reversed(angles)]
        pen.polygon(edge + back, blend(colour, BLACK, share), alpha=0.9)


def saucer(pen: Pen, rng: Random) -> None:
    """Draw a flying saucer with its beam."""
    pen.polygon(
        [(-0.3, -0.25), (0.3, -0.25), (0.75, 1.15), (-0.75, 1.15)],
        rng.choice((_CYAN, hexed("b8ff8a"), WHITE)),
        alpha=0.4,
    )
    pen.ellipse(0, -0.5, 0.42, 0.36, colour=_CYAN)
    pen.ellipse(-0.1, -0.6, 0.18, 0.16, colour=WHITE, alpha=0.7)
    pen.ellipse(0, -0.32, 1.0, 0.25, colour=hexed("59636e"))
    pen.ellipse(0, -0.37, 0.97, 0.19, colour=_STEEL)
    for x in (-0.7, -0.36, 0, 0.36, 0.7):
        pen.ellipse(x, -0.25 - abs(x) * 0.07, 0.06, colour=hexed("ffe14d"))


def rocket(pen: Pen, rng: Random) -> None:
    """Draw a rocket under way."""
    pen = pen.moved(0, 0, 1, tilt=rng.uniform(5, 38))
    red = rng.choice((hexed("e4402f"), hexed("f08a24"), hexed("2f7fe4")))
    pen.glow(0, 0.85, 0.7, hexed("ffb347"))
    pen.blob([(-0.18, 0.5), (0.18, 0.5), (0.2, 0.75), (0, 1.25), (-0.2, 0.75)], hexed("ff9a2e"))
    pen.blob([(-0.09, 0.5), (0.09, 0.5), (0.1, 0.7), (0, 0.98), (-0.1, 0.7)], hexed("fff3b0"))
    for side in (-1, 1):
        pen.polygon([(side * 0.2, 0.05), (side * 0.55, 0.45), (side * 0.52, 0.75), (side * 0.18, 0.48)], red)
    pen.blob(
        [(0, -1.02), (0.2, -0.62), (0.29, -0.1), (0.19, 0.52), (-0.19, 0.52), (-0.29, -0.1), (-0.2, -0.62)], _STEEL
    )
    pen.blob([(0.02, -0.98), (0.2, -0.62), (0.29, -0.1), (0.19, 0.5), (0.08, 0.5), (0.14, -0.3)], hexed("8c9aa8"))
    pen.polygon([(0, -1.03), (0.17, -0.68), (-0.17, -0.68)], red)
    pen.ellipse(0, -0.3, 0.15, colour=hexed("59636e"))
    pen.ellipse(0, -0.3, 0.11, colour=_CYAN)


def astronaut(pen: Pen, rng: Random) -> None:
    """Draw the helmet and shoulders of an astronaut, a planet in the visor."""
    suit = hexed("e6e9ec")
    pen.polygon([(-0.95, 1), (0.95, 1), (0.9, 1.7), (-0.9, 1.7)], blend(suit, BLACK, 0.12), noted=False)
    pen.blob(
        [(-0.42, 0.35), (0.42, 0.35), (0.85, 0.55), (0.95, 1.1), (-0.95, 1.1), (-0.85, 0.55)], blend(suit, BLACK, 0.12)
    )
    pen.polygon([(-0.28, 0.62), (0.28, 0.62), (0.28, 0.95), (-0.28, 0.95)], hexed("7d8893"))
    for x, code in ((-0.15, "e4402f"), (0, "ffe14d"), (0.15, "4fd07a")):
        pen.ellipse(x, 0.74, 0.05, colour=hexed(code))
    pen.ellipse(0, -0.22, 0.72, 0.7, colour=suit)
    pen.ellipse(0, -0.2, 0.57, 0.5, colour=hexed("8d7a3a"))
    pen.ellipse(0, -0.2, 0.53, 0.46, colour=hexed("141c38"))
    pen.ellipse(-0.12, -0.16, 0.2, colour=rng.choice((hexed("d98c5f"), hexed("5fa8d9"))))
    for x, y in ((0.2, -0.4), (0.32, -0.1), (0.15, 0.08), (-0.35, -0.38)):
        pen.ellipse(x, y, 0.018, colour=WHITE)
    pen.line([(-0.4, -0.4), (-0.3, -0.52), (-0.12, -0.6)], WHITE, 0.05, alpha=0.8)
    pen.line([(0.68, -0.3), (0.82, -0.75)], suit, 0.05)
    pen.ellipse(0.83, -0.8, 0.06, colour=hexed("e4402f"))


def colony(pen: Pen, rng: Random) -> None:
    """Draw domes and towers on the curved, cratered ground of another world."""
    soil = blend(pen.palette.ink, rng.choice((hexed("3a4a6a"), hexed("6a3a3a"), hexed("4a3a6a"))), 0.45)
    wide = 1.9
    pen.ellipse(0, wide - 0.02, wide + 0.03, colour=_CYAN, alpha=0.45, noted=False)
    for x, tall in ((rng.uniform(-0.7, -0.45), rng.uniform(0.3, 0.6)), (rng.uniform(0.5, 0.75), rng.uniform(0.3, 0.6))):
        pen.polygon([(x - 0.045, 0.3), (x - 0.02, -tall), (x + 0.02, -tall), (x + 0.045, 0.3)], hexed("8c9aa8"))
        pen.ellipse(x, -tall, 0.085, 0.045, colour=_STEEL)
        pen.ellipse(x, -tall - 0.06, 0.02, colour=hexed("ff4d4d"))
    for x, r in ((rng.uniform(-0.35, -0.2), rng.uniform(0.2, 0.28)), (rng.uniform(0.1, 0.25), rng.uniform(0.15, 0.22))):
        pen.ellipse(x, 0.05, r, colour=_CYAN, alpha=0.75)
        pen.ellipse(x, 0.05, r * 0.9, colour=hexed("24516b"), alpha=0.85)
        for part in (-0.5, 0, 0.5):
            pen.line([(x + r * part, 0.05), (x + r * part * 0.6, 0.05 - r * 0.8), (x, 0.05 - r)], _CYAN, 0.012)
        for part in (-0.5, -0.15, 0.2, 0.5):
            pen.polygon(
                [
                    (x + r * part, -0.04),
                    (x + r * (part + 0.2), -0.04),
                    (x + r * (part + 0.2), 0.02),
                    (x + r * part, 0.02),
                ],
                hexed("ffe9a0"),
            )
    pen.ellipse(0, wide, wide, colour=soil, noted=False)
    for _ in range(6):
        x, y, r = rng.uniform(-0.9, 0.9), rng.uniform(0.25, 0.7), rng.uniform(0.05, 0.14)
        pen.ellipse(x, y, r, r * 0.35, colour=blend(soil, BLACK, 0.4), noted=False)
        pen.ellipse(x, y + 0.015, r * 0.9, r * 0.28, colour=blend(soil, WHITE, 0.07), noted=False)


LOOK = Look(
    palettes=(
        Palette.of("070b26", "2a2f7a", "0a0d1e", "4f9ad6", "7fefff"),
        Palette.of("12062b", "6a2a86", "10061c", "d36bd0", "f4c6ff"),
        Palette.of("03181f", "0f6a72", "04171a", "4fd8c8", "c9fff2"),
        Palette.of("0d1020", "b8553a", "140a0e", "ff9a5c", "ffe0c0"),
    ),
    backdrops=(backdrops.stars, backdrops.stars, backdrops.stars, backdrops.rays, backdrops.plain),
    skies=(planet, planet, saucer),
    heroes=(rocket, astronaut, saucer, planet),
    grounds=(colony,),
    lettering=("wide", "wide", "neon", "slant"),
    firsts=("BEYOND", "NEBULA", "STELLAR", "LUNAR", "QUANTUM", "ZERO", "ANDROID", "DARK STAR"),
    lasts=("HORIZON", "PROTOCOL", "TITAN", "2199", "COLONY", "VOYAGE", "GALAXY", "MACHINE"),
    taglines=("The future is not alone.", "They answered.", "Ninety light years from home."),
)
