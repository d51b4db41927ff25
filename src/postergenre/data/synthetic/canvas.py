"""The surface posters are drawn on: twice as large as the poster, so that edges come out smooth."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from postergenre.data.synthetic.palette import Colour, Palette

WIDTH, HEIGHT = 400, 600
"""Pixels of the canvas."""
SCALE = 2
"""Pixels of the canvas to one of the poster."""


@lru_cache(maxsize=1)
def _falloff() -> Image.Image:
    span = np.linspace(-1, 1, 128)
    radius = np.hypot(span[:, None], span[None, :])
    return Image.fromarray((255 * np.clip(1 - radius, 0, 1) ** 1.6).astype(np.uint8))


@lru_cache(maxsize=1)
def _film() -> tuple[Image.Image, Image.Image]:
    """Return a vignette to multiply with and grain to add, both as large as the poster."""
    rows, columns = np.linspace(-1, 1, HEIGHT // SCALE), np.linspace(-1, 1, WIDTH // SCALE)
    edge = np.hypot(rows[:, None] * 0.8, columns[None, :] * 0.75)
    vignette = (255 * np.clip(1.12 - 0.42 * edge**2, 0.55, 1)).astype(np.uint8)
    grain = np.random.default_rng(7).integers(0, 15, (HEIGHT // SCALE, WIDTH // SCALE), dtype=np.uint8)
    return (
        Image.merge("RGB", [Image.fromarray(vignette)] * 3),
        Image.merge("RGB", [Image.fromarray(grain)] * 3),
    )


class Canvas:
    """An RGB picture of ``WIDTH`` by ``HEIGHT`` with a gradient on it."""

    def __init__(self, palette: Palette) -> None:
        self.palette = palette
        rows = np.linspace(0, 1, HEIGHT)[:, None]
        share = np.clip(rows / 0.72, 0, 1)
        column = np.array(palette.top) * (1 - share) + np.array(palette.low) * share
        self.picture = Image.fromarray(column.astype(np.uint8)[:, None, :]).resize((WIDTH, HEIGHT))
        self.draw = ImageDraw.Draw(self.picture, "RGBA")

    def glow(self, x: float, y: float, radius: float, colour: Colour, *, strength: float = 1.0) -> None:
        """Lay a soft disc of light over the picture."""
        size = max(2, round(2 * radius))
        mask = _falloff().resize((size, size), Image.Resampling.BILINEAR)
        if strength < 1:
            mask = mask.point([round(i * strength) for i in range(256)])
        self.picture.paste(colour, (round(x - radius), round(y - radius)), mask)

    def fade(self, top: float, bottom: float, colour: Colour, *, strength: float = 1.0) -> None:
        """Let the picture pass into a colour between two heights, and be that colour from there to the nearer edge."""
        rows = np.clip((np.arange(HEIGHT) - top) / (bottom - top), 0, 1) * 255 * strength
        mask = Image.fromarray(rows.astype(np.uint8)[:, None]).resize((WIDTH, HEIGHT))
        self.picture.paste(colour, (0, 0), mask)

    def mean(self, box: tuple[float, float, float, float]) -> Colour:
        """Return the mean colour within a box."""
        left, top, right, bottom = (round(side) for side in box)
        part = self.picture.crop((max(0, left), max(0, top), min(WIDTH, right), min(HEIGHT, bottom)))
        r, g, b = part.reduce(8).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))  # type: ignore[misc]
        return int(r), int(g), int(b)

    def finished(self) -> Image.Image:
        """Return the poster: half the size, a little darker towards the corners, with grain."""
        vignette, grain = _film()
        small = ImageChops.multiply(self.picture.reduce(SCALE), vignette)
        return ImageChops.add(small, grain, 1, -7)
