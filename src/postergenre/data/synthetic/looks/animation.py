"""Animation: round creatures with large eyes, rainbows, clouds that smile, green hills with mushrooms."""

import math
from random import Random

from postergenre.data.synthetic import backdrops
from postergenre.data.synthetic.look import Look
from postergenre.data.synthetic.palette import BLACK, WHITE, Palette, blend, hexed
from postergenre.data.synthetic.pen import Pen

_BRIGHT = tuple(hexed(code) for code in ("5cc85a", "ff7fb0", "4fb0f5", "a87ff0", "ff9a3c", "40d0c0"))
_SPECTRUM = tuple(hexed(code) for code in ("f0504f", "ff9a3c", "ffe04f", "5cc85a", "4f9af5", "9a6fe0"))


def creature(pen: Pen, rng: Random) -> None:
    """Draw a furless, friendly creature with one to three large eyes."""
    fur = rng.choice(_BRIGHT)
    dark, pale = blend(fur, BLACK, 0.3), blend(fur, WHITE, 0.55)
    head = rng.choice(("ears", "horns", "feelers"))
    for side in (-1, 1):
        if head == "ears":
            pen.blob([(side * 0.2, -0.5), (side * 0.35, -1.1), (side * 0.6, -1.1), (side * 0.58, -0.45)], dark)
        elif head == "horns":
            pen.polygon([(side * 0.3, -0.6), (side * 0.68, -1.0), (side * 0.62, -0.45)], hexed("fff0c8"))
        else:
            pen.line([(side * 0.2, -0.6), (side * 0.3, -0.95), (side * 0.42, -1.05)], dark, 0.05)
            pen.ellipse(side * 0.44, -1.05, 0.11, colour=_SPECTRUM[2])
        pen.ellipse(side * 0.38, 0.86, 0.28, 0.14, colour=dark)
        pen.blob([(side * 0.6, 0), (side * 0.98, -0.25), (side * 1.05, -0.05), (side * 0.65, 0.35)], fur)
    wide = rng.uniform(0.68, 0.8)
    pen.blob(
        [(-wide, 0.2), (-0.55, -0.55), (0, -0.78), (0.55, -0.55), (wide, 0.2), (0.5, 0.8), (0, 0.88), (-0.5, 0.8)], fur
    )
    pen.ellipse(0, 0.46, 0.42, 0.36, colour=pale)
    count = rng.choice((1, 2, 2, 2, 3))
    r = {1: 0.36, 2: 0.27, 3: 0.2}[count]
    look = rng.uniform(-0.25, 0.25)
    iris = rng.choice((hexed("3a6fd8"), hexed("3aa850"), hexed("7a4a1f"), hexed("8a3fc8")))
    for i in range(count):
        x = (i - (count - 1) / 2) * r * 2.02
        pen.ellipse(x, -0.22, r * 1.06, colour=dark)
        pen.ellipse(x, -0.22, r, colour=WHITE)
        pen.ellipse(x + look * r, -0.2, r * 0.62, colour=iris)
        pen.ellipse(x + look * r, -0.2, r * 0.4, colour=BLACK)
        pen.ellipse(x + look * r - r * 0.2, -0.2 - r * 0.25, r * 0.18, colour=WHITE)
    pen.polygon(
        [(0.3 * math.cos(math.pi * i / 12), 0.17 + 0.22 * math.sin(math.pi * i / 12)) for i in range(13)],
        hexed("5a1426"),
    )
    pen.polygon([(-0.12, 0.17), (0.12, 0.17), (0.1, 0.26), (-0.1, 0.26)], WHITE)
    for x, y in ((-0.55, 0.25), (0.58, 0.3), (0.48, 0.5), (-0.5, 0.5)):
        pen.ellipse(x, y, 0.07, 0.06, colour=dark)


def rainbow(pen: Pen, rng: Random) -> None:
    """Draw a rainbow between two clouds that smile."""
    for i, colour in enumerate(_SPECTRUM):
        r = 1.0 - 0.1 * i
        arc = [(r * math.cos(math.pi * (1 + k / 30)), 0.55 + r * math.sin(math.pi * (1 + k / 30))) for k in range(31)]
        pen.line(arc, colour, 0.11)
    for side in (-1, 1):
        _cloud(pen.moved(side * 0.72, 0.58, rng.uniform(0.42, 0.5)))


def _cloud(pen: Pen) -> None:
    for x, y, r in ((-0.6, 0.1, 0.38), (0.6, 0.1, 0.38), (0, -0.15, 0.55), (0, 0.2, 0.5)):
        pen.ellipse(x, y, r, colour=WHITE)
    for side in (-1, 1):
        pen.ellipse(side * 0.22, 0, 0.09, 0.13, colour=BLACK)
        pen.ellipse(side * 0.42, 0.16, 0.11, 0.07, colour=hexed("ff9ab0"))
    pen.line([(-0.12, 0.18), (0, 0.26), (0.12, 0.18)], BLACK, 0.06)


def smiling_sun(pen: Pen, rng: Random) -> None:
    """Draw a sun with rays and a face, and a cloud."""
    for i in range(12):
        a, turn = 2 * math.pi * i / 12, 0.16
        pen.polygon(
            [
                (0.68 * math.cos(a - turn), 0.68 * math.sin(a - turn)),
                (1.05 * math.cos(a), 1.05 * math.sin(a)),
                (0.68 * math.cos(a + turn), 0.68 * math.sin(a + turn)),
            ],
            hexed("ffb02e"),
        )
    pen.ellipse(0, 0, 0.66, colour=hexed("ffdf4f"))
    for side in (-1, 1):
        pen.ellipse(side * 0.24, -0.12, 0.15, 0.2, colour=WHITE)
        pen.ellipse(side * 0.22, -0.09, 0.09, 0.13, colour=hexed("3a6fd8"))
        pen.ellipse(side * 0.22, -0.09, 0.05, 0.08, colour=BLACK)
        pen.ellipse(side * 0.42, 0.16, 0.1, 0.07, colour=hexed("ff9a6a"))
    pen.line([(-0.2, 0.2), (-0.08, 0.3), (0.08, 0.3), (0.2, 0.2)], hexed("8a3a10"), 0.06)
    _cloud(pen.moved(0.75, 0.6, 0.42))


def owl(pen: Pen, rng: Random) -> None:
    """Draw a round bird with spectacle eyes."""
    coat = rng.choice(_BRIGHT)
    pen.blob(
        [
            (-0.7, 0.1),
            (-0.62, -0.6),
            (-0.66, -0.95),
            (-0.3, -0.72),
            (0.3, -0.72),
            (0.66, -0.95),
            (0.62, -0.6),
            (0.7, 0.1),
            (0.45, 0.8),
            (-0.45, 0.8),
        ],
        coat,
    )
    pen.ellipse(0, 0.4, 0.42, 0.42, colour=blend(coat, WHITE, 0.6))
    for side in (-1, 1):
        pen.blob(
            [(side * 0.6, -0.1), (side * 0.98, 0.2), (side * 0.85, 0.55), (side * 0.55, 0.45)], blend(coat, BLACK, 0.3)
        )
        pen.ellipse(side * 0.29, -0.3, 0.31, colour=hexed("ffe9b0"))
        pen.ellipse(side * 0.29, -0.3, 0.23, colour=WHITE)
        pen.ellipse(side * 0.26, -0.27, 0.15, colour=BLACK)
        pen.ellipse(side * 0.26 - 0.05, -0.34, 0.05, colour=WHITE)
        pen.ellipse(side * 0.2, 0.84, 0.13, 0.07, colour=hexed("ff9a3c"))
    pen.polygon([(-0.1, -0.16), (0.1, -0.16), (0, 0.06)], hexed("ff9a3c"))


def meadow(pen: Pen, rng: Random) -> None:
    """Draw rolling hills with mushrooms and a small creature."""
    green = rng.choice((hexed("6ccf5a"), hexed("4fbf7a"), hexed("9ad84f")))
    pen.blob(
        [(-1.7, 0.3), (-0.8, -0.2), (-0.2, 0.05), (0.5, -0.28), (1.6, 0.2), (1.6, 3), (-1.7, 3)],
        blend(green, WHITE, 0.3),
        noted=False,
    )
    small = pen.moved(rng.uniform(-0.3, 0.3), -0.12, rng.uniform(0.34, 0.44))
    rng.choice((creature, owl))(small, rng)
    pen.blob([(-1.6, 0.1), (-0.5, 0.24), (0.3, 0.12), (1.0, 0.22), (1.7, 0.1), (1.6, 3), (-1.6, 3)], green, noted=False)
    for x in rng.sample((-0.8, -0.55, 0.55, 0.8), rng.randint(2, 3)):
        tall = rng.uniform(0.14, 0.24)
        cap = pen.moved(x, 0.16, tall)
        cap.polygon([(-0.22, 0.3), (-0.16, -0.9), (0.16, -0.9), (0.22, 0.3)], hexed("fff3dc"))
        cap.polygon(
            [(math.cos(math.pi * (1 + i / 14)), 1.05 * math.sin(math.pi * (1 + i / 14)) - 0.7) for i in range(15)],
            rng.choice(_SPECTRUM[:1] + _SPECTRUM[4:]),
        )
        for dx, dy in ((-0.45, -1.05), (0.1, -1.35), (0.5, -1.0)):
            cap.ellipse(dx, dy, 0.15, 0.13, colour=WHITE)


LOOK = Look(
    palettes=(
        Palette.of("3fa8f5", "c8f0ff", "2a8a4a", "ffffff", "ff4f7f"),
        Palette.of("7a5ae8", "ffb0e0", "4a2a9a", "fff0fa", "ffe04f"),
        Palette.of("1fbfae", "d8ffc8", "0f7a6a", "ffffff", "ff6a2f"),
        Palette.of("ff9a4f", "ffe89a", "c8503c", "fffbe0", "6a2fc8"),
        Palette.of("1a2f7a", "6a9af0", "142050", "c8e0ff", "ffe66a"),
    ),
    backdrops=(backdrops.rays, backdrops.clouds, backdrops.bokeh, backdrops.bands, backdrops.halftone),
    skies=(rainbow, rainbow, smiling_sun),
    heroes=(creature, creature, owl),
    grounds=(meadow,),
    lettering=("bounce", "bounce", "outline"),
    firsts=("LITTLE", "FUZZY", "MAGIC", "SUPER", "WOBBLY", "TINY", "GIGGLY", "WONDER"),
    lasts=("MONSTERS", "DRAGON", "KINGDOM", "ADVENTURE", "BUBBLES", "RAINBOW", "PALS", "FOREST"),
    taglines=("Big hearts come in small sizes!", "Hop along this summer!", "A tale with tails."),
)
