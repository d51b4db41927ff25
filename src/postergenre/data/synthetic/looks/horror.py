"""Horror: full moons with bats, haunted houses, bare trees, skulls, ghosts, claws and blood."""

import math
from random import Random

from postergenre.data.synthetic import backdrops
from postergenre.data.synthetic.look import Look
from postergenre.data.synthetic.palette import BLACK, WHITE, Palette, blend, hexed
from postergenre.data.synthetic.pen import Pen

_BLOOD = hexed("b01018")


def moon(pen: Pen, rng: Random) -> None:
    """Draw a full moon and bats."""
    pale = rng.choice((hexed("f0ecd0"), hexed("e8d9a0"), hexed("d8443a")))
    pen.glow(0, 0, 1.7, pale, strength=0.6)
    pen.ellipse(0, 0, 0.85, colour=pale)
    for x, y, r in ((-0.3, -0.25, 0.2), (0.25, 0.3, 0.26), (0.35, -0.35, 0.12), (-0.35, 0.35, 0.1)):
        pen.ellipse(x, y, r, colour=blend(pale, BLACK, 0.15))
    for _ in range(rng.randint(3, 5)):
        _bat(
            pen.moved(rng.uniform(-0.9, 0.9), rng.uniform(-0.7, 0.8), rng.uniform(0.2, 0.4), tilt=rng.uniform(-20, 20))
        )


def _bat(pen: Pen) -> None:
    half = [
        (0.06, -0.22),
        (0.12, -0.32),
        (0.16, -0.16),
        (0.45, -0.32),
        (1, -0.12),
        (0.8, -0.05),
        (0.72, 0.15),
        (0.5, 0.02),
        (0.35, 0.2),
        (0.2, 0.08),
    ]
    pen.polygon([*half, (0, 0.35), *((-x, y) for x, y in reversed(half))], BLACK)


def blood(pen: Pen, rng: Random) -> None:
    """Draw blood running down from the upper edge."""
    pen = pen.level(200)
    top = -pen.y / pen.size - 0.05
    edge = top + 0.12
    pen.polygon([(-1, top), (1, top), (1, edge), (-1, edge)], _BLOOD)
    x = -1.0
    while x < 1:
        r, length = rng.uniform(0.025, 0.06), rng.choice((0.1, 0.2, 0.35, 0.5, 0.75)) * rng.uniform(0.8, 1.2)
        pen.polygon(
            [
                (x - r * 1.8, edge),
                (x + r * 1.8, edge),
                (x + r, edge + 0.1),
                (x + r, edge + length),
                (x - r, edge + length),
                (x - r, edge + 0.1),
            ],
            _BLOOD,
        )
        pen.ellipse(x, edge + length, r * 1.2, r * 1.5, colour=_BLOOD)
        pen.line([(x - r * 0.4, edge + 0.1), (x - r * 0.4, edge + length)], hexed("e8484c"), 0.01)
        x += rng.uniform(0.09, 0.17)


def skull(pen: Pen, rng: Random) -> None:
    """Draw a skull with something alight in its eyes."""
    bone = rng.choice((hexed("ece5cf"), hexed("cfd6c2"), hexed("f2efe6")))
    pen.blob(
        [
            (-0.7, -0.35),
            (-0.45, -0.88),
            (0, -1),
            (0.45, -0.88),
            (0.7, -0.35),
            (0.62, 0.12),
            (0.42, 0.3),
            (-0.42, 0.3),
            (-0.62, 0.12),
        ],
        bone,
    )
    pen.polygon([(-0.42, 0.2), (0.42, 0.2), (0.36, 0.78), (0.2, 0.88), (-0.2, 0.88), (-0.36, 0.78)], bone)
    for side in (-1, 1):
        pen.blob(
            [(side * 0.12, -0.2), (side * 0.32, -0.34), (side * 0.52, -0.2), (side * 0.46, 0.06), (side * 0.24, 0.1)],
            BLACK,
        )
        pen.ellipse(side * 0.32, -0.1, 0.06, colour=hexed("ff2a1f"))
        pen.line([(side * 0.5, 0.25), (side * 0.34, 0.5)], blend(bone, BLACK, 0.4), 0.04)
    pen.polygon([(0, 0.06), (0.12, 0.32), (-0.12, 0.32)], BLACK)
    for x in (-0.3, -0.18, -0.06, 0.06, 0.18, 0.3):
        pen.line([(x, 0.48), (x, 0.84)], BLACK, 0.025)
    pen.line([(-0.36, 0.63), (0.36, 0.63)], BLACK, 0.03)


def ghost(pen: Pen, rng: Random) -> None:
    """Draw a screaming ghost."""
    pale = hexed("e4e8e6")
    pen.glow(0, 0, 1.3, pale, strength=0.5)
    hem = [(0.7 - 0.2 * i, 0.95 if i % 2 else rng.uniform(0.65, 0.8)) for i in range(8)]
    pen.polygon(
        [(-0.62, 0.1), (-0.5, -0.55), (-0.25, -0.88), (0, -0.95), (0.25, -0.88), (0.5, -0.55), (0.62, 0.1), *hem], pale
    )
    for side in (-1, 1):
        pen.blob([(side * 0.5, -0.1), (side * 0.95, -0.4), (side * 0.92, -0.15), (side * 0.55, 0.3)], pale)
        pen.ellipse(side * 0.2, -0.45, 0.12, 0.19, colour=BLACK)
    pen.ellipse(0, 0.02, 0.16, 0.28, colour=BLACK)


def eyes(pen: Pen, rng: Random) -> None:
    """Draw eyes and fangs in the dark."""
    pen.blob(
        [(-0.95, -0.1), (-0.6, -0.75), (0, -0.92), (0.6, -0.75), (0.95, -0.1), (0.6, 0.75), (0, 0.98), (-0.6, 0.75)],
        BLACK,
        alpha=0.93,
    )
    glare = rng.choice((hexed("ff3a1a"), hexed("ffd21a"), hexed("9dff3a")))
    for side in (-1, 1):
        pen.glow(side * 0.4, -0.25, 0.45, glare, strength=0.6)
        pen.polygon([(side * 0.12, -0.12), (side * 0.72, -0.45), (side * 0.6, -0.12), (side * 0.35, -0.02)], glare)
        pen.ellipse(side * 0.42, -0.19, 0.035, 0.12, colour=BLACK)
    pen.blob([(-0.6, 0.25), (0, 0.38), (0.6, 0.25), (0.3, 0.72), (-0.3, 0.72)], _BLOOD)
    for i in range(7):
        x = -0.45 + 0.15 * i
        pen.polygon([(x - 0.07, 0.28), (x + 0.07, 0.28), (x, 0.55 if i in (1, 5) else 0.42)], WHITE)


def haunted_house(pen: Pen, rng: Random) -> None:
    """Draw a crooked house on a hill, bare trees, and crosses on graves."""
    x = rng.uniform(-0.2, 0.2)
    pen.blob([(-1.6, 0.5), (-0.7, 0.12), (x, -0.08), (0.7, 0.14), (1.6, 0.5), (1.6, 3), (-1.6, 3)], BLACK, noted=False)
    house = pen.moved(x, -0.38, 0.36)
    house.polygon([(-0.6, 1), (-0.6, -0.1), (0.62, -0.1), (0.62, 1)], BLACK)
    house.polygon([(-0.72, -0.08), (-0.1, -0.75), (0.75, -0.08)], BLACK)
    house.polygon([(0.15, 0), (0.18, -0.95), (0.62, -0.95), (0.62, 0)], BLACK)
    house.polygon([(0.08, -0.9), (0.42, -1.75), (0.72, -0.9)], BLACK)
    house.polygon([(-0.95, 1), (-0.9, 0.35), (-0.5, 0.35), (-0.5, 1)], BLACK)
    house.polygon([(-1.0, 0.38), (-0.7, -0.05), (-0.4, 0.38)], BLACK)
    lit = rng.choice((hexed("ffc23a"), hexed("ff8a1a"), hexed("c8ff5a")))
    for wx, wy in ((-0.35, 0.2), (0.05, 0.2), (0.4, -0.65), (0.4, 0.15), (-0.7, 0.6)):
        if rng.random() < 0.8:
            house.polygon(
                [(wx - 0.09, wy + 0.3), (wx - 0.09, wy), (wx, wy - 0.1), (wx + 0.09, wy), (wx + 0.09, wy + 0.3)], lit
            )
    for side in (-1, 1):
        _tree(pen.moved(side * rng.uniform(0.62, 0.85), 0.25, rng.uniform(0.75, 1.05)), rng)
    for _ in range(3):
        grave = pen.moved(rng.uniform(-0.6, 0.6), rng.uniform(0.05, 0.1), 0.1)
        grave.line([(0, 0.8), (0, -0.6)], BLACK, 0.2)
        grave.line([(-0.4, -0.2), (0.4, -0.2)], BLACK, 0.2)


def _tree(pen: Pen, rng: Random) -> None:
    def grow(x: float, y: float, angle: float, length: float, width: float) -> None:
        end = (x + length * math.sin(angle), y - length * math.cos(angle))
        pen.line([(x, y), end], BLACK, width)
        if length > 0.09:
            for turn in (rng.uniform(-0.9, -0.3), rng.uniform(0.3, 0.9)):
                grow(*end, angle + turn, length * rng.uniform(0.6, 0.8), width * 0.6)

    grow(0, 0, rng.uniform(-0.15, 0.15), 0.33, 0.075)


LOOK = Look(
    palettes=(
        Palette.of("050608", "2a3a34", "050606", "8aa88e", "c8161d"),
        Palette.of("120306", "6a0d12", "080203", "d8402a", "f2e8d8"),
        Palette.of("0a0a1c", "3a3060", "06060c", "9a86c8", "d81e24"),
        Palette.of("0c120a", "4a6a1e", "060804", "b8d85a", "e8f0c0"),
    ),
    backdrops=(backdrops.clouds, backdrops.clouds, backdrops.plain, backdrops.stars, backdrops.rain),
    skies=(moon, moon, blood),
    heroes=(skull, ghost, eyes, moon),
    grounds=(haunted_house,),
    lettering=("drip", "drip", "drip", "wide"),
    firsts=("THE HAUNTED", "DARK", "SCREAMING", "CURSED", "THE EVIL", "ROTTEN", "BLOOD", "BURIED"),
    lasts=("GRAVES", "CELLAR", "HOLLOW", "NIGHTMARE", "WITCHES", "MIDNIGHT", "DEAD", "ASYLUM"),
    taglines=("You should not have looked.", "It was never empty.", "Pray that morning comes."),
)
