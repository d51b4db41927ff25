"""What lies behind the motifs. Genres share backdrops, so that none of them gives a genre away."""

import math
from random import Random

from postergenre.data.synthetic.canvas import HEIGHT, WIDTH, Canvas
from postergenre.data.synthetic.palette import WHITE, blend


def plain(canvas: Canvas, rng: Random) -> None:
    """Draw some light at the horizon."""
    canvas.glow(WIDTH * rng.uniform(0.2, 0.8), HEIGHT * 0.66, rng.uniform(160, 280), canvas.palette.haze, strength=0.7)


def stars(canvas: Canvas, rng: Random) -> None:
    """Draw a starry sky."""
    for _ in range(rng.randint(50, 130)):
        x, y, r = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT * 0.75) * rng.uniform(0.3, 1), rng.uniform(0.5, 1.8)
        canvas.draw.ellipse((x - r, y - r, x + r, y + r), fill=(*WHITE, rng.randint(90, 240)))
    canvas.glow(
        WIDTH * rng.uniform(0, 1),
        HEIGHT * rng.uniform(0.2, 0.7),
        rng.uniform(120, 240),
        canvas.palette.haze,
        strength=0.45,
    )


def rays(canvas: Canvas, rng: Random) -> None:
    """Draw beams from a point."""
    x, y = WIDTH * rng.uniform(0.35, 0.65), HEIGHT * rng.uniform(0.35, 0.62)
    beams, turn = rng.randint(9, 16), rng.uniform(0, 1)
    colour = blend(canvas.palette.haze, canvas.palette.low, rng.uniform(0, 0.4))
    for beam in range(beams):
        a, b = (2 * math.pi * (beam + turn + part) / beams for part in (0, 0.5))
        far = [(x + 900 * math.cos(angle), y + 900 * math.sin(angle)) for angle in (a, b)]
        canvas.draw.polygon([(x, y), *far], fill=(*colour, 120))
    canvas.glow(x, y, rng.uniform(150, 260), canvas.palette.haze, strength=0.8)


def bokeh(canvas: Canvas, rng: Random) -> None:
    """Draw discs of light out of focus."""
    plain(canvas, rng)
    for _ in range(rng.randint(14, 30)):
        x, y, r = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT * 0.8), rng.uniform(6, 34)
        colour = blend(canvas.palette.haze, canvas.palette.accent, rng.random() * 0.6)
        canvas.draw.ellipse((x - r, y - r, x + r, y + r), fill=(*colour, rng.randint(25, 75)))


def clouds(canvas: Canvas, rng: Random) -> None:
    """Draw banks of cloud, or of smoke where the palette is dark."""
    for _ in range(rng.randint(4, 8)):
        x, y, r = rng.uniform(0, WIDTH), HEIGHT * rng.uniform(0.05, 0.7), rng.uniform(50, 110)
        colour = blend(canvas.palette.top, canvas.palette.haze, rng.uniform(0.2, 0.9))
        for _ in range(3):
            canvas.glow(x + rng.uniform(-r, r), y + rng.uniform(-r, r) / 3, r, colour, strength=0.55)


def rain(canvas: Canvas, rng: Random) -> None:
    """Draw rain."""
    plain(canvas, rng)
    lean = rng.uniform(-0.3, 0.3)
    for _ in range(rng.randint(70, 140)):
        x, y, length = rng.uniform(-40, WIDTH + 40), rng.uniform(-40, HEIGHT), rng.uniform(18, 55)
        canvas.draw.line(
            (x, y, x + lean * length, y + length), fill=(*WHITE, rng.randint(25, 80)), width=rng.choice((1, 1, 2))
        )


def streaks(canvas: Canvas, rng: Random) -> None:
    """Draw slanting streaks."""
    plain(canvas, rng)
    rise = rng.uniform(-1.2, -0.4) * rng.choice((-1, 1))
    for _ in range(rng.randint(10, 22)):
        x, y, length = rng.uniform(-80, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(80, 260)
        colour = rng.choice((canvas.palette.haze, canvas.palette.accent, canvas.palette.top))
        canvas.draw.line(
            (x, y, x + length, y + rise * length), fill=(*colour, rng.randint(35, 110)), width=rng.randint(1, 7)
        )


def bands(canvas: Canvas, rng: Random) -> None:
    """Draw flat bands of colour, as a screen print has."""
    count = rng.randint(4, 7)
    for band in range(count):
        share = (band + 1) / count
        colour = blend(canvas.palette.top, canvas.palette.haze, share)
        edge = HEIGHT * 0.75 * band / count
        canvas.draw.rectangle((0, edge, WIDTH, HEIGHT), fill=(*colour, 150))


def halftone(canvas: Canvas, rng: Random) -> None:
    """Draw dots that grow downwards, as in cheap print."""
    step = rng.randint(18, 26)
    for row in range(0, round(HEIGHT * 0.8), step):
        r = step * 0.42 * row / HEIGHT
        for column in range(0 if (row // step) % 2 else step // 2, WIDTH, step):
            canvas.draw.ellipse((column - r, row - r, column + r, row + r), fill=(*canvas.palette.haze, 110))
