"""Crime: the city by night, fingerprints, crosshairs, pistols, the man in the fedora, barrier tape."""

import math
from random import Random

from postergenre.data.synthetic import backdrops
from postergenre.data.synthetic.look import Look
from postergenre.data.synthetic.palette import BLACK, WHITE, Palette, blend, hexed
from postergenre.data.synthetic.pen import Pen
from postergenre.data.synthetic.people import stand

_TAPE = hexed("f7d117")


def tape(pen: Pen, rng: Random) -> None:
    """Draw barrier tape across the whole width."""
    for y, turn in ((-0.25, rng.uniform(-18, -6)), (0.4, rng.uniform(6, 18))):
        strip = pen.level().moved(0, y, 1, tilt=turn)
        reach = 290 / strip.size
        strip.polygon([(-reach, -0.15), (reach, -0.15), (reach, 0.15), (-reach, 0.15)], _TAPE)
        step = 0.42
        for i in range(round(-reach / step), round(reach / step) + 1):
            x = i * step
            strip.polygon([(x, -0.15), (x + 0.2, -0.15), (x + 0.08, 0.15), (x - 0.12, 0.15)], BLACK)


def fingerprint(pen: Pen, rng: Random) -> None:
    """Draw a fingerprint."""
    red = rng.choice((hexed("c8202a"), WHITE, BLACK)) if pen.opacity == 1 else WHITE
    pen = pen.moved(0, 0, 1, tilt=rng.uniform(-12, 12))
    pen.ellipse(0, 0, 0.78, 1.02, colour=blend(red, WHITE if red == BLACK else BLACK, 0.85), alpha=0.75)
    for ring in range(8):
        r = 0.09 + 0.088 * ring
        start, span = rng.uniform(0, 6.3), rng.uniform(4.6, 5.9)
        arc = [
            (r * math.cos(start + span * i / 30), 0.02 * ring + 1.3 * r * math.sin(start + span * i / 30) - 0.06)
            for i in range(31)
        ]
        pen.line(arc, red, 0.048)


def crosshair(pen: Pen, rng: Random) -> None:
    """Draw a crosshair."""
    red = rng.choice((hexed("e02020"), WHITE, BLACK))
    for r in (0.85, 0.45):
        circle = [(r * math.cos(math.pi * i / 24), r * math.sin(math.pi * i / 24)) for i in range(49)]
        pen.line(circle, red, 0.06)
    for angle in range(4):
        dx, dy = math.cos(angle * math.pi / 2), math.sin(angle * math.pi / 2)
        pen.line([(0.25 * dx, 0.25 * dy), (1.1 * dx, 1.1 * dy)], red, 0.05)
    pen.ellipse(0, 0, 0.07, colour=hexed("e02020"))


def pistol(pen: Pen, rng: Random) -> None:
    """Draw a pistol."""
    ink = blend(pen.palette.ink, BLACK, 0.8)
    pen = pen.moved(0, 0.05, 1, tilt=rng.choice((0, -12, 14, -30)))
    pen.polygon([(-0.62, -0.5), (1.0, -0.5), (1.0, -0.2), (-0.62, -0.2)], ink)
    pen.polygon(
        [
            (-0.55, -0.22),
            (0.75, -0.22),
            (0.75, -0.08),
            (0.1, -0.06),
            (-0.05, 0.1),
            (-0.18, 0.12),
            (-0.32, 0.78),
            (-0.8, 0.7),
        ],
        ink,
    )
    loop = [(-0.08 + 0.2 * math.cos(math.pi * i / 12), 0.02 + 0.17 * math.sin(math.pi * i / 12)) for i in range(25)]
    pen.line(loop, ink, 0.05)
    pen.polygon([(0.9, -0.56), (0.97, -0.56), (0.97, -0.5), (0.9, -0.5)], ink)
    pen.polygon([(-0.7, -0.56), (-0.55, -0.58), (-0.55, -0.3), (-0.66, -0.34)], ink)
    for x in (-0.5, -0.43, -0.36):
        pen.line([(x, -0.45), (x, -0.26)], blend(ink, WHITE, 0.35), 0.02)
    pen.line([(-0.3, -0.46), (0.95, -0.46)], blend(ink, WHITE, 0.3), 0.02)
    if rng.random() < 0.5:
        for x, y, r in ((1.15, -0.5, 0.1), (1.22, -0.68, 0.14), (1.12, -0.88, 0.18)):
            pen.ellipse(x, y, r, colour=WHITE, alpha=0.35)


def detective(pen: Pen, rng: Random) -> None:
    """Draw a man in fedora and trench coat under a lamp."""
    ink = blend(pen.palette.ink, BLACK, 0.7)
    post = rng.uniform(0.55, 0.75)
    pen.polygon([(post - 0.32, -0.95), (post - 0.16, -0.95), (0.75, 1), (-0.85, 1)], hexed("ffe9a0"), alpha=0.32)
    pen.line([(post, 1), (post, -1.05), (post - 0.24, -1.05)], ink, 0.05)
    pen.polygon([(post - 0.36, -0.95), (post - 0.12, -0.95), (post - 0.18, -1.08), (post - 0.3, -1.08)], ink)
    pen.ellipse(post - 0.24, -0.94, 0.08, 0.05, colour=hexed("fff6d0"))
    man = pen.moved(-0.15, 0.12, 0.88)
    stand(man, ink, hat="fedora", coat=True, stance=0.13, arm=rng.uniform(0.28, 0.36))
    man.polygon([(-0.2, -0.56), (0, -0.66), (0.2, -0.56), (0, -0.36)], blend(ink, WHITE, 0.16))
    man.polygon([(-0.2, -0.08), (0.2, -0.08), (0.2, -0.02), (-0.2, -0.02)], blend(ink, WHITE, 0.2))


def city(pen: Pen, rng: Random) -> None:
    """Draw a skyline by night with lit windows, and a police light."""
    lit = rng.choice((hexed("ffe08a"), hexed("ffd060"), hexed("fff2c0")))
    for base, tall_range, share in ((0.05, (0.35, 0.95), 0.28), (0.2, (0.15, 0.6), 0.0)):
        tone = blend(blend(pen.palette.ink, BLACK, 0.55), pen.palette.low, share)
        x = -1.1
        while x < 1.05:
            wide, tall = rng.uniform(0.16, 0.34), rng.uniform(*tall_range)
            pen.polygon([(x, 0.25), (x, -tall), (x + wide, -tall), (x + wide, 0.25)], tone)
            if rng.random() < 0.3:
                pen.line([(x + wide / 2, -tall), (x + wide / 2, -tall - 0.16)], tone, 0.02)
            for column in range(int((wide - 0.04) / 0.06)):
                for row in range(int((tall + base) / 0.085)):
                    if rng.random() < 0.38:
                        left, top = x + 0.03 + 0.06 * column, -tall + 0.04 + 0.085 * row
                        pen.polygon(
                            [(left, top), (left + 0.032, top), (left + 0.032, top + 0.045), (left, top + 0.045)], lit
                        )
            x += wide + rng.uniform(-0.02, 0.03)
    pen.polygon([(-1.1, 0.24), (1.1, 0.24), (1.1, 3), (-1.1, 3)], blend(pen.palette.ink, BLACK, 0.6), noted=False)
    if rng.random() < 0.5:
        car = pen.moved(rng.uniform(-0.5, 0.5), 0.2, 0.24)
        car.glow(-0.3, -0.45, 1.1, hexed("ff2a2a"), strength=0.8)
        car.glow(0.3, -0.45, 1.1, hexed("2a5aff"), strength=0.8)
        car.polygon(
            [(-1, 0.2), (-1, -0.1), (-0.6, -0.14), (-0.4, -0.42), (0.35, -0.42), (0.6, -0.14), (1, -0.08), (1, 0.2)],
            BLACK,
        )
        car.polygon([(-0.22, -0.55), (0, -0.55), (0, -0.42), (-0.22, -0.42)], hexed("ff3a3a"))
        car.polygon([(0, -0.55), (0.22, -0.55), (0.22, -0.42), (0, -0.42)], hexed("3a7aff"))
        car.polygon([(-0.98, 0.02), (0.98, 0.02), (0.98, 0.12), (-0.98, 0.12)], WHITE)
        for x in (-0.55, 0.55):
            car.ellipse(x, 0.2, 0.18, colour=BLACK)


LOOK = Look(
    palettes=(
        Palette.of("0b1220", "3a5a78", "080c14", "9ab8cc", "f2c84b"),
        Palette.of("1a1a1a", "8a8a80", "0c0c0c", "d8d4c4", "e02a2a"),
        Palette.of("160a1c", "8a3a4a", "0c060e", "e89a6a", "ffe2b0"),
        Palette.of("10201c", "5a7a5a", "08100c", "c8d0a0", "f0e6c0"),
        Palette.of("d8cdb4", "b8a88a", "1c1814", "f0e8d4", "b81a1f"),
    ),
    backdrops=(backdrops.rain, backdrops.plain, backdrops.clouds, backdrops.halftone, backdrops.bands),
    skies=(tape, tape, crosshair),
    heroes=(fingerprint, detective, detective, pistol, crosshair),
    grounds=(city,),
    lettering=("heavy", "heavy", "neon", "wide"),
    firsts=("THE LONG", "DIRTY", "COLD", "MIDTOWN", "GUILTY", "SILENT", "PRIME", "WANTED"),
    lasts=("CON", "ALIBI", "HEIST", "SUSPECT", "MURDERS", "SYNDICATE", "MONEY", "WITNESS"),
    taglines=("Everybody leaves a trace.", "The city has a price.", "Trust nobody. Least of all him."),
)
