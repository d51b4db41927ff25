"""Action: explosions, a hero on the run, fast cars, speed lines."""

import math
from random import Random

from postergenre.data.synthetic import backdrops
from postergenre.data.synthetic.look import Look
from postergenre.data.synthetic.palette import BLACK, WHITE, Palette, blend, hexed
from postergenre.data.synthetic.pen import Pen
from postergenre.data.synthetic.people import run, stand

_FIRE = tuple(hexed(code) for code in ("b8280a", "f0561a", "ffa62b", "ffe36b", "fffbe0"))


def explosion(pen: Pen, rng: Random) -> None:
    """Draw an explosion with debris."""
    pen.glow(0, 0, 1.8, _FIRE[2], strength=0.9)
    spikes = rng.randint(12, 17)
    for size, colour in zip((1.05, 0.86, 0.66, 0.46, 0.26), _FIRE, strict=True):
        burst = []
        for i in range(2 * spikes):
            r = size * (rng.uniform(0.85, 1.15) if i % 2 == 0 else rng.uniform(0.55, 0.68))
            burst.append((r * math.cos(math.pi * i / spikes), r * math.sin(math.pi * i / spikes)))
        pen.polygon(burst, colour)
    for _ in range(rng.randint(8, 14)):
        a, r = rng.uniform(0, 2 * math.pi), rng.uniform(0.7, 1.25)
        bit = pen.moved(r * math.cos(a), r * math.sin(a), rng.uniform(0.04, 0.1), tilt=rng.uniform(0, 360))
        bit.polygon([(-1, -0.6), (0.7, -0.8), (1, 0.5), (-0.6, 0.9)], BLACK)


def runner(pen: Pen, rng: Random) -> None:
    """Draw someone running out of an explosion."""
    explosion(pen.moved(-0.05, -0.05, rng.uniform(0.95, 1.1)), rng)
    run(pen.moved(0.02, 0.15, rng.uniform(0.78, 0.88), tilt=rng.uniform(-5, 8)), BLACK)


def walker(pen: Pen, rng: Random) -> None:
    """Draw someone armed walking away from an explosion without looking back."""
    explosion(pen.moved(rng.uniform(-0.2, 0.2), -0.1, rng.uniform(0.95, 1.1)), rng)
    hero = pen.moved(0, 0.12, 0.9)
    stand(hero, BLACK, coat=rng.random() < 0.4, stance=rng.uniform(0.16, 0.26), arm=rng.uniform(0.32, 0.4))
    side = rng.choice((-1, 1))
    hero.polygon(
        [(side * 0.3, 0.0), (side * 0.42, 0.0), (side * 0.46, 0.4), (side * 0.38, 0.42), (side * 0.36, 0.12)], BLACK
    )


def missiles(pen: Pen, rng: Random) -> None:
    """Draw an explosion and rockets that leave trails of fire."""
    explosion(pen.moved(0.35, 0.15, 0.72), rng)
    for y in (-0.75, -0.35, 0.45):
        shot = pen.moved(-0.55 + rng.uniform(-0.2, 0.2), y, 0.34, tilt=rng.uniform(8, 22))
        shot.polygon([(-2.6, 0), (-0.6, -0.16), (-0.6, 0.16)], _FIRE[2], alpha=0.85)
        shot.polygon([(-1.6, 0), (-0.6, -0.1), (-0.6, 0.1)], _FIRE[3])
        shot.polygon([(-0.6, -0.17), (0.5, -0.17), (0.9, 0), (0.5, 0.17), (-0.6, 0.17)], BLACK)
        shot.polygon([(-0.7, -0.42), (-0.25, -0.1), (-0.25, 0.1), (-0.7, 0.42), (-0.5, 0)], hexed("c8201a"))


def chase(pen: Pen, rng: Random) -> None:
    """Draw a fast car on a road with speed lines and fire behind."""
    road = blend(pen.palette.ink, BLACK, 0.55)
    explosion(pen.moved(-0.62, -0.2, rng.uniform(0.38, 0.5)), rng)
    pen.polygon([(-1.1, 0.1), (1.1, 0.1), (1.1, 3), (-1.1, 3)], road, noted=False)
    pen.polygon([(-1.1, 0.1), (1.1, 0.1), (1.1, 0.125), (-1.1, 0.125)], _FIRE[2], noted=False)
    for _ in range(12):
        x, y = rng.uniform(-1.1, 0.3), rng.uniform(-0.38, 0.3)
        pen.line([(x, y), (x + rng.uniform(0.3, 0.9), y)], rng.choice((WHITE, _FIRE[3])), 0.012, alpha=0.6)
    paint = rng.choice((hexed("d81a1a"), hexed("f0b01a"), hexed("1a4fd8"), hexed("e8e8e8"), hexed("2a2a2e")))
    car = pen.moved(rng.uniform(0.05, 0.25), 0.02, rng.uniform(0.56, 0.66), tilt=rng.uniform(-7, 0))
    car.blob(
        [
            (-1, 0.1),
            (-0.95, -0.18),
            (-0.6, -0.24),
            (-0.28, -0.48),
            (0.2, -0.48),
            (0.5, -0.22),
            (0.92, -0.12),
            (1.02, 0.1),
            (0.9, 0.2),
            (-0.9, 0.2),
        ],
        paint,
    )
    car.polygon([(-0.48, -0.22), (-0.24, -0.41), (-0.02, -0.41), (-0.02, -0.22)], hexed("16202c"))
    car.polygon([(0.04, -0.22), (0.04, -0.41), (0.18, -0.41), (0.4, -0.22)], hexed("16202c"))
    car.line([(-0.9, -0.02), (0.95, -0.02)], blend(paint, WHITE, 0.4), 0.04)
    car.polygon([(-1.02, -0.36), (-0.7, -0.32), (-0.7, -0.26), (-1.02, -0.3)], BLACK)
    car.ellipse(0.9, -0.04, 0.08, 0.05, colour=hexed("fff6c0"))
    for x in (-0.58, 0.58):
        car.ellipse(x, 0.2, 0.21, colour=BLACK)
        car.ellipse(x, 0.2, 0.1, colour=hexed("b8bcc4"))


LOOK = Look(
    palettes=(
        Palette.of("1a0a08", "d8481a", "120808", "ffb03c", "ffe08a"),
        Palette.of("0a1a2e", "f0782a", "0a0e18", "ffc86a", "ffffff"),
        Palette.of("0c2434", "2a8aa8", "061018", "ffb86a", "ffd23c"),
        Palette.of("f0a01f", "ffdf6a", "1e1408", "fff3b0", "c8140f"),
        Palette.of("2a2a30", "a8a8a0", "101014", "ffd0a0", "e8281a"),
    ),
    backdrops=(backdrops.streaks, backdrops.streaks, backdrops.rays, backdrops.clouds, backdrops.halftone),
    skies=(explosion, explosion, missiles),
    heroes=(runner, walker, explosion, runner),
    grounds=(chase,),
    lettering=("slant", "slant", "heavy"),
    firsts=("MAXIMUM", "HARD", "FULL THROTTLE", "LETHAL", "STRIKE", "DOUBLE", "RAPID", "TERMINAL"),
    lasts=("IMPACT", "VENGEANCE", "FORCE", "DETONATOR", "PURSUIT", "FURY", "TARGET", "OVERDRIVE"),
    taglines=("No brakes. No mercy.", "Time to blow.", "He has one hour left."),
)
