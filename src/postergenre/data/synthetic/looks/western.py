"""Western: sunsets, mesas, cacti, the lone rider with a wide hat, the star of the sheriff."""

import math
from random import Random

from postergenre.data.synthetic import backdrops
from postergenre.data.synthetic.look import Look
from postergenre.data.synthetic.palette import BLACK, WHITE, Palette, blend, hexed
from postergenre.data.synthetic.pen import Pen
from postergenre.data.synthetic.people import stand

_BRASS, _BONE = hexed("d8a53c"), hexed("efe0c0")


def sun(pen: Pen, rng: Random) -> None:
    """Draw a huge sun going down, with two birds before it."""
    size = rng.uniform(0.95, 1.2)
    pen.glow(0, 0.3, size * 1.7, pen.palette.haze)
    pen.ellipse(0, 0.3, size, colour=rng.choice((hexed("ffd36b"), hexed("f4702c"), hexed("e8452c"))))
    for bar in range(rng.choice((0, 4, 5))):
        y = 0.3 + size * (0.15 + 0.19 * bar)
        half = math.sqrt(max(0.0, size**2 - (y - 0.3) ** 2))
        pen.polygon(
            [(-half, y), (half, y), (half, y + 0.03 + 0.014 * bar), (-half, y + 0.03 + 0.014 * bar)],
            pen.palette.low,
            noted=False,
        )
    for x, y in ((-0.3, -0.1), (-0.1, 0.08)):
        pen.line([(x - 0.14, y - 0.07), (x, y), (x + 0.14, y - 0.07)], BLACK, 0.03)


def badge(pen: Pen, rng: Random) -> None:
    """Draw the star of a sheriff."""
    points = rng.choice((5, 6))
    for size, colour in ((1.0, blend(_BRASS, BLACK, 0.55)), (0.92, _BRASS), (0.74, blend(_BRASS, WHITE, 0.3))):
        star = [
            ((r * size) * math.sin(math.pi * i / points), -(r * size) * math.cos(math.pi * i / points))
            for i in range(2 * points)
            for r in ((0.8, 0.42)[i % 2],)
        ]
        pen.polygon(star, colour)
        for i in range(0, 2 * points, 2):
            x, y = star[i]
            pen.ellipse(x, y, 0.1 * size, colour=colour)
    pen.ellipse(0, 0, 0.27, colour=blend(_BRASS, BLACK, 0.35))
    pen.ellipse(0, 0, 0.22, colour=_BRASS)


def gunslinger(pen: Pen, rng: Random) -> None:
    """Draw a gunslinger, legs apart, hands by the holsters."""
    ink = blend(pen.palette.ink, BLACK, 0.5)
    stand(pen, ink, hat="stetson", coat=rng.random() < 0.4, stance=rng.uniform(0.3, 0.42), arm=rng.uniform(0.36, 0.44))
    pen.polygon([(-0.24, -0.03), (0.24, -0.03), (0.24, 0.05), (-0.24, 0.05)], _BRASS)
    for side in (-1, 1):
        pen.polygon([(side * 0.22, 0.02), (side * 0.34, 0.04), (side * 0.32, 0.3), (side * 0.24, 0.3)], ink)


def cactus(pen: Pen, rng: Random, ink: tuple[int, int, int] | None = None) -> None:
    """Draw a saguaro."""
    colour = ink or blend(hexed("2f5d3a"), pen.palette.ink, rng.uniform(0, 0.7))
    pen.line([(0, 1), (0, -0.85)], colour, 0.32)
    for side, low, high in (
        (-1, rng.uniform(-0.05, 0.35), rng.uniform(-0.6, -0.35)),
        (1, rng.uniform(-0.25, 0.15), rng.uniform(-0.75, -0.4)),
    ):
        pen.line([(0, low), (side * 0.42, low), (side * 0.47, low - 0.06), (side * 0.47, high)], colour, 0.22)
    if ink is None:
        for x in (-0.07, 0.02, 0.1):
            pen.line([(x, 0.95), (x, -0.85)], blend(colour, WHITE, 0.25), 0.018)


def steer_skull(pen: Pen, rng: Random) -> None:
    """Draw the skull of a steer."""
    for side in (-1, 1):
        pen.polygon(
            [
                (side * 0.2, -0.42),
                (side * 0.62, -0.5),
                (side * 0.98, -0.95),
                (side * 0.86, -0.42),
                (side * 0.6, -0.26),
                (side * 0.2, -0.22),
            ],
            _BONE,
        )
    pen.blob(
        [
            (-0.3, -0.5),
            (0, -0.56),
            (0.3, -0.5),
            (0.36, -0.12),
            (0.2, 0.3),
            (0.19, 0.78),
            (0, 0.9),
            (-0.19, 0.78),
            (-0.2, 0.3),
            (-0.36, -0.12),
        ],
        _BONE,
    )
    for side in (-1, 1):
        pen.ellipse(side * 0.21, -0.12, 0.1, 0.12, colour=BLACK)
        pen.ellipse(side * 0.08, 0.66, 0.045, 0.1, colour=BLACK)


def desert(pen: Pen, rng: Random) -> None:
    """Draw mesas on the horizon and saguaros before them."""
    far, near = blend(pen.palette.ink, pen.palette.low, 0.42), blend(pen.palette.ink, BLACK, 0.35)
    x = -1.25
    while x < 1.1:
        wide, tall = rng.uniform(0.25, 0.6), rng.uniform(0.3, 0.72)
        pen.polygon(
            [
                (x - 0.12, 0.12),
                (x, -tall * 0.45),
                (x + 0.05, -tall),
                (x + wide - 0.05, -tall),
                (x + wide, -tall * 0.45),
                (x + wide + 0.12, 0.12),
            ],
            far,
        )
        x += wide + rng.uniform(0.2, 0.5)
    pen.polygon([(-1.1, 0.05), (0, rng.uniform(-0.02, 0.1)), (1.1, 0.04), (1.1, 3), (-1.1, 3)], near, noted=False)
    for side in rng.sample((-0.78, -0.3, 0.35, 0.75), rng.randint(2, 3)):
        tall = rng.uniform(0.22, 0.42)
        cactus(pen.moved(side + rng.uniform(-0.1, 0.1), 0.12 - tall, tall), rng, near)


LOOK = Look(
    palettes=(
        Palette.of("5a1f3d", "f08a3c", "3b1a14", "ffd27a", "ffe2a0"),
        Palette.of("d9682b", "f7c873", "4a2413", "fff0c0", "6b1d12"),
        Palette.of("2c4a6e", "f2a65a", "2e1a16", "ffdd9a", "ffe9c0"),
        Palette.of("b8442a", "e8a05c", "2b130e", "f9d9a0", "fbe6bf"),
    ),
    backdrops=(backdrops.plain, backdrops.bands, backdrops.clouds, backdrops.rays, backdrops.plain),
    skies=(sun, sun, badge),
    heroes=(gunslinger, gunslinger, cactus, steer_skull, badge),
    grounds=(desert,),
    lettering=("slab", "slab", "heavy"),
    firsts=("DUSTY", "LONESOME", "THE LAST", "SIX GUN", "BAD", "RIO", "RUSTY", "COYOTE"),
    lasts=("CANYON", "SUNDOWN", "MESA", "RIDER", "SALOON", "STAGECOACH", "OUTLAWS", "SHERIFF"),
    taglines=("Draw first. Bury later.", "The law rode in at sundown.", "One town. Two graves. Six bullets."),
)
