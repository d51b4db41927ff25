"""Drama: a face in profile, someone at a window, a lone tree and a bench, an umbrella in the rain, masks."""

import math
from random import Random

from postergenre.data.synthetic import backdrops
from postergenre.data.synthetic.look import Look
from postergenre.data.synthetic.palette import BLACK, WHITE, Palette, blend, hexed
from postergenre.data.synthetic.pen import Pen
from postergenre.data.synthetic.people import stand

_PROFILE = [
    (0.1, -0.98),
    (0.38, -0.86),
    (0.5, -0.62),
    (0.5, -0.4),
    (0.54, -0.28),
    (0.74, -0.02),
    (0.6, 0.06),
    (0.63, 0.18),
    (0.57, 0.23),
    (0.6, 0.33),
    (0.5, 0.42),
    (0.48, 0.55),
    (0.2, 0.56),
    (0.18, 0.8),
    (0.5, 1.08),
    (-0.8, 1.08),
    (-0.5, 0.85),
    (-0.42, 0.4),
    (-0.62, 0.0),
    (-0.62, -0.45),
    (-0.38, -0.85),
]


def face(pen: Pen, rng: Random) -> None:
    """Draw a face in profile, sometimes with a landscape or a second face within, and a tear."""
    ink = blend(pen.palette.ink, BLACK, 0.35)
    pen.glow(0.3, -0.1, 1.3, pen.palette.haze, strength=0.7)
    if rng.random() < 0.4:
        pen.moved(0.2, 0, 1.0, flip=True).polygon(_PROFILE, blend(ink, pen.palette.haze, 0.45), alpha=0.8)
    pen.polygon(_PROFILE, ink)
    pen.line([(0.3, -0.28), (0.4, -0.24), (0.48, -0.28)], blend(ink, WHITE, 0.45), 0.03)
    if rng.random() < 0.7:
        tear = blend(pen.palette.haze, WHITE, 0.7)
        pen.blob([(0.44, -0.18), (0.49, -0.02), (0.44, 0.06), (0.39, -0.02)], tear)


def window(pen: Pen, rng: Random) -> None:
    """Draw someone alone at a window."""
    ink = blend(pen.palette.ink, BLACK, 0.5)
    light = rng.choice((hexed("f5dca0"), hexed("c8dcec"), hexed("f2c8a0")))
    pen.glow(0, 0, 1.6, light, strength=0.7)
    pen.polygon([(-0.72, -1), (0.72, -1), (0.72, 1), (-0.72, 1)], ink)
    for left, right in ((-0.64, -0.04), (0.04, 0.64)):
        for top, bottom in ((-0.92, -0.22), (-0.14, 0.92)):
            pen.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], light)
    for _ in range(24):
        x, y = rng.uniform(-0.62, 0.6), rng.uniform(-0.9, 0.75)
        pen.line([(x, y), (x - 0.02, y + 0.13)], WHITE, 0.012, alpha=0.7)
    someone = pen.moved(rng.uniform(-0.22, 0.22), 0.34, 0.66)
    stand(someone, ink, dress=rng.random() < 0.5, stance=0.09, arm=0.2)
    for side in (-1, 1):
        pen.blob(
            [
                (side * 0.98, -1.05),
                (side * 0.5, -1.05),
                (side * 0.6, -0.3),
                (side * 0.78, 0.2),
                (side * 0.7, 1.05),
                (side * 1.0, 1.05),
            ],
            blend(ink, pen.palette.low, 0.3),
        )


def umbrella(pen: Pen, rng: Random) -> None:
    """Draw someone alone under an umbrella, seen from behind."""
    ink = blend(pen.palette.ink, BLACK, 0.5)
    cloth = rng.choice((ink, hexed("a8283a"), hexed("2a4a6a")))
    pen.ellipse(0, 1.0, 0.6, 0.08, colour=blend(pen.palette.low, BLACK, 0.3), alpha=0.6)
    stand(pen.moved(0, 0.22, 0.78), ink, coat=True, stance=0.1, arm=0.2)
    pen.line([(0.12, 0.1), (0.06, -0.85)], ink, 0.03)
    ribs = [
        (0.78 * math.cos(math.pi * (1 + i / 16)), 0.62 * math.sin(math.pi * (1 + i / 16)) - 0.32) for i in range(17)
    ]
    hem = [(0.78 - 0.13 * i, -0.32 - (0.07 if i % 2 else 0.0)) for i in range(1, 12)]
    pen.polygon([*ribs, *hem], cloth)
    pen.line([(0, -0.94), (0, -1.05)], ink, 0.03)


def masks(pen: Pen, rng: Random) -> None:
    """Draw the masks of the stage, the sad one in front."""
    gold = hexed("d8b25a")
    for x, y, turn, colour, glad in (
        (0.34, -0.2, 12, blend(gold, BLACK, 0.45), True),
        (-0.26, 0.1, -10, hexed("ece6d8"), False),
    ):
        mask = pen.moved(x, y, 0.72, tilt=turn)
        mask.blob(
            [(-0.72, -0.78), (0, -0.68), (0.72, -0.78), (0.7, 0.0), (0.42, 0.72), (0, 0.98), (-0.42, 0.72), (-0.7, 0)],
            blend(colour, BLACK, 0.4),
        )
        mask.blob(
            [
                (-0.66, -0.72),
                (0, -0.62),
                (0.66, -0.72),
                (0.64, 0.0),
                (0.38, 0.68),
                (0, 0.92),
                (-0.38, 0.68),
                (-0.64, 0),
            ],
            colour,
        )
        bend = 0.16 if glad else -0.16
        for side in (-1, 1):
            mask.blob(
                [
                    (side * 0.12, -0.2),
                    (side * 0.3, -0.2 - bend),
                    (side * 0.52, -0.16 + 0.5 * abs(bend) * (not glad)),
                    (side * 0.3, -0.06),
                ],
                BLACK,
            )
        mouth = [(-0.36, 0.42 - bend), (0, 0.42 + bend * 0.6), (0.36, 0.42 - bend), (0, 0.6 + bend)]
        mask.blob(mouth, BLACK)
        if not glad:
            mask.blob([(0.32, 0.0), (0.37, 0.18), (0.32, 0.26), (0.27, 0.18)], hexed("6aa8d8"))


def rain_cloud(pen: Pen, rng: Random) -> None:
    """Draw a heavy cloud and rain."""
    grey = blend(pen.palette.ink, WHITE, rng.uniform(0.2, 0.4))
    for _ in range(34):
        x, y = rng.uniform(-0.9, 0.9), rng.uniform(0.2, 1.1)
        pen.line([(x, y), (x - 0.07, y + 0.24)], blend(pen.palette.haze, WHITE, 0.5), 0.022, alpha=0.8)
    for x, y, r in ((-0.6, 0.0, 0.36), (0.62, 0.02, 0.34), (-0.2, -0.22, 0.46), (0.28, -0.15, 0.42), (0, 0.08, 0.4)):
        pen.ellipse(x, y, r, colour=blend(grey, BLACK, 0.2 if y > 0 else 0.0))


def lone_bench(pen: Pen, rng: Random) -> None:
    """Draw a tree losing its leaves, an empty bench, someone alone with a long shadow."""
    ink = blend(pen.palette.ink, BLACK, 0.4)
    leaf = rng.choice((hexed("c8641f"), hexed("a83a1f"), hexed("d8962a"), blend(ink, pen.palette.haze, 0.3)))
    pen.polygon([(-1.1, 0.1), (1.1, 0.1), (1.1, 3), (-1.1, 3)], ink, noted=False)
    tree = pen.moved(rng.uniform(-0.72, -0.5), 0.12, 0.95)
    tree.polygon([(-0.09, 0), (-0.045, -0.5), (0.045, -0.5), (0.09, 0)], ink)
    for end in ((-0.3, -0.75), (0.28, -0.8), (0.02, -0.92)):
        tree.line([(0, -0.42), end], ink, 0.035)
    for _ in range(34):
        a, r = rng.uniform(0, 2 * math.pi), rng.uniform(0, 1) ** 0.6
        tree.ellipse(
            0.48 * r * math.cos(a),
            -0.78 + 0.36 * r * math.sin(a),
            rng.uniform(0.05, 0.1),
            colour=blend(leaf, BLACK, rng.uniform(0, 0.4)),
        )
    for _ in range(10):
        pen.ellipse(rng.uniform(-0.8, 0.4), rng.uniform(-0.5, 0.12), 0.022, 0.014, colour=leaf)
    bench = pen.moved(rng.uniform(-0.05, 0.15), 0.0, 0.24)
    for y in (-0.5, -0.28, 0.02):
        bench.line([(-1, y), (1, y)], ink, 0.12)
    for x in (-0.8, 0.8):
        bench.line([(x, -0.5), (x, 0.5)], ink, 0.1)
    someone = pen.moved(rng.uniform(0.55, 0.75), -0.17, 0.31)
    stand(someone, ink, coat=rng.random() < 0.5, dress=rng.random() < 0.4, stance=0.1, arm=0.24)


def shore(pen: Pen, rng: Random) -> None:
    """Draw the sea, a lighthouse far off, an empty boat and someone alone on the shore."""
    ink = blend(pen.palette.ink, BLACK, 0.4)
    sea = blend(pen.palette.low, pen.palette.ink, 0.45)
    pen.polygon([(-1.1, -0.1), (1.1, -0.1), (1.1, 3), (-1.1, 3)], sea, noted=False)
    for _ in range(26):
        x, y = rng.uniform(-1, 1), rng.uniform(-0.08, 0.2)
        pen.line([(x, y), (x + rng.uniform(0.04, 0.2), y)], pen.palette.haze, 0.008, alpha=0.6)
    tower = pen.moved(rng.uniform(0.55, 0.75), -0.12, 0.5)
    tower.glow(0, -0.98, 0.9, hexed("fff2c0"), strength=0.7)
    tower.polygon([(0, -0.98), (-2.6, -1.3), (-2.6, -0.8)], hexed("fff2c0"), alpha=0.3)
    tower.blob([(-0.75, 0.15), (-0.3, -0.05), (0.3, -0.08), (0.9, 0.15)], ink)
    tower.polygon([(-0.14, 0), (-0.09, -0.88), (0.09, -0.88), (0.14, 0)], ink)
    tower.polygon([(-0.12, -0.88), (-0.08, -1.05), (0, -1.16), (0.08, -1.05), (0.12, -0.88)], ink)
    tower.ellipse(0, -0.97, 0.05, colour=hexed("fff2c0"))
    boat = pen.moved(rng.uniform(-0.1, 0.25), 0.08, 0.17)
    boat.polygon([(-1, -0.25), (1, -0.25), (0.7, 0.2), (-0.75, 0.2)], ink)
    boat.line([(-0.1, -0.2), (0.9, 0.32)], ink, 0.06)
    pen.blob([(-1.7, 0.1), (-0.6, 0.14), (0.2, 0.24), (1.7, 0.28), (1.7, 3), (-1.7, 3)], ink, noted=False)
    someone = pen.moved(rng.uniform(-0.75, -0.45), -0.18, 0.34)
    stand(someone, ink, coat=rng.random() < 0.5, dress=rng.random() < 0.4, stance=0.1, arm=0.24)


LOOK = Look(
    palettes=(
        Palette.of("2a4258", "a8b8bc", "1a2630", "e2e6e0", "f5efe0"),
        Palette.of("6a5a48", "dcc6a0", "2c221a", "f7ead0", "4a1f1a"),
        Palette.of("3a2a3c", "c88a7a", "1e1420", "f2cfb4", "fbeee0"),
        Palette.of("e6e2d8", "c4c0b4", "2c2c30", "fbf9f2", "1e2a3a"),
        Palette.of("1c3a3c", "8ab0a0", "10201f", "dcebd8", "f4f0dc"),
        Palette.of("26304a", "e0986a", "161a28", "ffd8a8", "fff0d8"),
    ),
    backdrops=(backdrops.rain, backdrops.plain, backdrops.plain, backdrops.clouds, backdrops.bokeh),
    skies=(rain_cloud, masks, face),
    heroes=(face, face, window, umbrella, masks),
    grounds=(lone_bench, shore),
    lettering=("wide", "wide", "wide", "heavy"),
    firsts=("A QUIET", "THE LONELY", "BITTER", "AFTER", "FADING", "THE SILENT", "LEAVING", "OUR"),
    lasts=("WINTER", "MEMORY", "RAIN", "FATHERS", "AUTUMN", "GOODBYE", "STRANGERS", "HOURS"),
    taglines=("Some silences last a lifetime.", "She kept every letter.", "You can go home. It is not there."),
)
