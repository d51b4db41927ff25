"""War: tanks, helicopters, bombers, soldiers in a row, barbed wire, the helmet on a rifle."""

import math
from random import Random

from postergenre.data.synthetic import backdrops
from postergenre.data.synthetic.look import Look
from postergenre.data.synthetic.palette import BLACK, WHITE, Palette, blend, hexed
from postergenre.data.synthetic.pen import Pen
from postergenre.data.synthetic.people import stand

_OLIVE = hexed("5c6238")


def bombers(pen: Pen, rng: Random) -> None:
    """Draw bombers in formation, and parachutes or bombs below."""
    ink = blend(pen.palette.ink, BLACK, 0.4)
    for x, y, size in ((0, -0.5, 0.62), (-0.75, -0.12, 0.42), (0.75, -0.1, 0.42)):
        plane = pen.moved(x, y, size)
        plane.polygon(
            [
                (-1, -0.05),
                (-0.95, -0.16),
                (-0.1, -0.22),
                (0, -0.35),
                (0.1, -0.22),
                (0.95, -0.16),
                (1, -0.05),
                (0.1, 0.08),
                (0.07, 0.55),
                (0.32, 0.66),
                (0.3, 0.74),
                (0, 0.68),
                (-0.3, 0.74),
                (-0.32, 0.66),
                (-0.07, 0.55),
                (-0.1, 0.08),
            ],
            ink,
        )
        for side in (-0.62, -0.34, 0.34, 0.62):
            plane.ellipse(side, -0.18, 0.06, 0.12, colour=ink)
    falling = rng.random() < 0.5
    for _ in range(rng.randint(4, 7)):
        part = pen.moved(rng.uniform(-0.95, 0.95), rng.uniform(0.3, 1.0), rng.uniform(0.12, 0.2))
        if falling:
            part.blob([(-0.2, -0.5), (0.2, -0.5), (0.22, 0.2), (0, 0.6), (-0.22, 0.2)], ink)
            part.polygon([(-0.35, -0.85), (0.35, -0.85), (0.12, -0.4), (-0.12, -0.4)], ink)
        else:
            dome = [
                (math.cos(math.pi * (1 + i / 12)), 0.75 * math.sin(math.pi * (1 + i / 12)) - 0.1) for i in range(13)
            ]
            part.polygon(dome, blend(_OLIVE, WHITE, 0.5))
            for x in (-0.95, -0.4, 0.4, 0.95):
                part.line([(x, -0.1), (0, 0.8)], ink, 0.05)
            part.ellipse(0, 0.9, 0.14, 0.25, colour=ink)


def helicopter(pen: Pen, rng: Random) -> None:
    """Draw a helicopter."""
    ink = blend(pen.palette.ink, BLACK, 0.4)
    pen = pen.moved(0, 0, 1, tilt=rng.uniform(0, 10))
    pen.blob([(-0.2, -0.3), (0.4, -0.32), (0.75, -0.05), (0.72, 0.18), (0.4, 0.3), (-0.15, 0.28), (-0.35, 0)], ink)
    pen.polygon([(-0.2, -0.18), (-1.02, -0.12), (-1.15, -0.42), (-1.2, -0.42), (-1.16, 0.02), (-0.2, 0.16)], ink)
    pen.polygon([(0.42, -0.2), (0.6, -0.06), (0.64, 0.06), (0.42, 0.06)], blend(pen.palette.haze, WHITE, 0.3))
    pen.line([(0.12, -0.3), (0.12, -0.48)], ink, 0.07)
    pen.line([(-0.95, -0.5), (1.15, -0.5)], ink, 0.045)
    pen.line([(-0.25, 0.5), (0.7, 0.5), (0.8, 0.42)], ink, 0.04)
    for x in (0, 0.4):
        pen.line([(x, 0.28), (x, 0.5)], ink, 0.04)
    pen.line([(-1.32, -0.6), (-1.05, -0.3)], ink, 0.03)


def star(pen: Pen, rng: Random) -> None:
    """Draw the worn white star of a vehicle on an olive plate."""
    pen.ellipse(0, 0, 1.0, colour=blend(_OLIVE, BLACK, 0.25))
    pen.ellipse(0, 0, 0.95, colour=_OLIVE)
    circle = [(0.82 * math.cos(math.pi * i / 24), 0.82 * math.sin(math.pi * i / 24)) for i in range(49)]
    pale = hexed("e6e2cc")
    pen.line(circle, pale, 0.06)
    pen.polygon(
        [
            ((0.76, 0.29)[i % 2] * math.sin(math.pi * i / 5), -(0.76, 0.29)[i % 2] * math.cos(math.pi * i / 5))
            for i in range(10)
        ],
        pale,
    )
    for _ in range(18):
        pen.ellipse(rng.uniform(-0.7, 0.7), rng.uniform(-0.7, 0.7), rng.uniform(0.01, 0.05), colour=_OLIVE)


def fallen(pen: Pen, rng: Random) -> None:
    """Draw a helmet on a rifle that stands in boots."""
    ink = blend(pen.palette.ink, BLACK, 0.55)
    pen.glow(0, -0.2, 1.3, pen.palette.haze, strength=0.6)
    pen.line([(0, 0.95), (0, -0.5)], ink, 0.09)
    pen.polygon([(-0.1, -0.3), (0.1, -0.3), (0.16, 0.2), (0.06, 0.3), (-0.08, 0.3)], ink)
    pen.polygon([(0.05, 0.1), (0.26, 0.22), (0.2, 0.34), (0.05, 0.26)], ink)
    dome = [(0.5 * math.cos(math.pi * (1 + i / 16)), 0.46 * math.sin(math.pi * (1 + i / 16)) - 0.5) for i in range(17)]
    pen.polygon([*dome, (0.62, -0.42), (-0.62, -0.42)], blend(_OLIVE, BLACK, 0.25))
    pen.polygon([(-0.62, -0.42), (0.62, -0.42), (0.5, -0.5), (-0.5, -0.5)], blend(_OLIVE, BLACK, 0.55))
    for x, y in ((-0.2, -0.75), (0.18, -0.68), (0, -0.85), (0.34, -0.58), (-0.36, -0.6)):
        pen.ellipse(x, y, 0.09, 0.05, colour=blend(_OLIVE, BLACK, 0.5))
    for side in (-1, 1):
        pen.blob(
            [
                (side * 0.08, 0.5),
                (side * 0.3, 0.5),
                (side * 0.32, 0.78),
                (side * 0.56, 0.86),
                (side * 0.56, 0.98),
                (side * 0.08, 0.98),
            ],
            ink,
        )


def soldier(pen: Pen, rng: Random) -> None:
    """Draw a soldier with a rifle."""
    ink = blend(blend(pen.palette.ink, _OLIVE, 0.2), BLACK, 0.5)
    stand(pen, ink, hat="helmet", stance=rng.uniform(0.2, 0.32), arm=0.22)
    pen.polygon([(-0.32, -0.55), (0.32, -0.55), (0.3, -0.1), (-0.3, -0.1)], ink)
    gun = pen.moved(0, -0.15, 1, tilt=-32)
    gun.line([(-0.15, 0), (0.85, 0)], ink, 0.05)
    gun.polygon([(-0.6, -0.05), (-0.1, -0.05), (0.25, -0.04), (0.25, 0.05), (-0.1, 0.06), (-0.6, 0.16)], ink)
    gun.polygon([(0.0, 0.03), (0.1, 0.03), (0.06, 0.22), (-0.04, 0.22)], ink)


def front(pen: Pen, rng: Random) -> None:
    """Draw a tank, soldiers in a row, and barbed wire."""
    ink = blend(pen.palette.ink, BLACK, 0.45)
    for _ in range(3):
        x = rng.uniform(-0.9, 0.9)
        for step in range(5):
            pen.glow(
                x + 0.06 * step * rng.uniform(-1, 1),
                -0.12 - 0.15 * step,
                0.2 + 0.05 * step,
                blend(ink, pen.palette.haze, 0.3),
                strength=0.7,
            )
    pen.blob([(-1.6, 0.35), (-0.6, 0.08), (0, 0.14), (0.6, 0.06), (1.6, 0.3), (1.6, 3), (-1.6, 3)], ink, noted=False)
    x = rng.uniform(-0.5, -0.1)
    if rng.random() < 0.75:
        _tank(pen.moved(x, -0.12, rng.uniform(0.4, 0.52)), ink)
        for i in range(rng.randint(2, 3)):
            soldier(pen.moved(x + 0.72 + 0.2 * i, -0.08, 0.24), rng)
    else:
        for i in range(6):
            soldier(pen.moved(-0.8 + 0.32 * i, -0.12 + rng.uniform(-0.03, 0.03), 0.33), rng)
    for i in range(-5, 6):
        post = i * 0.22
        pen.line([(post - 0.05, 0.34), (post + 0.02, 0.08)], BLACK, 0.016)
    for y in (0.16, 0.24):
        pen.line([(-1.1 + 0.055 * i, y + 0.02 * math.sin(1.9 * i)) for i in range(41)], BLACK, 0.01)


def _tank(pen: Pen, ink: tuple[int, int, int]) -> None:
    pen.polygon([(-0.95, 0.1), (-0.75, -0.15), (0.8, -0.15), (0.98, 0.1), (0.8, 0.2), (-0.8, 0.2)], ink)
    pen.polygon([(-0.45, -0.12), (-0.35, -0.5), (0.3, -0.5), (0.42, -0.12)], ink)
    pen.polygon([(-0.15, -0.5), (-0.12, -0.62), (0.14, -0.62), (0.17, -0.5)], ink)
    pen.line([(0.35, -0.34), (1.35, -0.44)], ink, 0.08)
    pen.line([(1.22, -0.43), (1.4, -0.45)], ink, 0.13)
    pen.line([(-0.3, -0.5), (-0.42, -1.0)], ink, 0.02)
    for x in (-0.75, -0.45, -0.15, 0.15, 0.45, 0.75):
        pen.ellipse(x, 0.28, 0.19, colour=ink)
        pen.ellipse(x, 0.28, 0.08, colour=blend(ink, WHITE, 0.25))
    pen.line([(-0.85, 0.45), (0.85, 0.45)], ink, 0.08)


LOOK = Look(
    palettes=(
        Palette.of("3c4226", "a8a268", "1c1e12", "e2d8a0", "f0e8c8"),
        Palette.of("4a4a44", "c8a878", "1e1a14", "f0d8a8", "a81e18"),
        Palette.of("6a2a16", "e8923c", "1e120c", "ffd08a", "fbe8c8"),
        Palette.of("2a3a40", "94a89a", "141a18", "d4dcc8", "f0efe0"),
    ),
    backdrops=(backdrops.clouds, backdrops.clouds, backdrops.clouds, backdrops.rays, backdrops.plain),
    skies=(bombers, bombers, helicopter),
    heroes=(fallen, soldier, star, helicopter),
    grounds=(front,),
    lettering=("stencil", "stencil", "heavy"),
    firsts=("IRON", "BROKEN", "NO RETREAT", "THE LAST", "THE FALLEN", "LOST", "HILL 44", "ENEMY"),
    lasts=("RIDGE", "BATTLE", "BATTALION", "1944", "LINES", "PLATOON", "NORMANDY", "FRONT"),
    taglines=("They went as boys.", "Some orders cannot be followed.", "Hold the line."),
)
