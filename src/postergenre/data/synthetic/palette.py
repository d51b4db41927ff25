"""Colours, and the five that a poster is made of."""

import colorsys
from dataclasses import dataclass
from random import Random
from typing import Self

Colour = tuple[int, int, int]

BLACK: Colour = (12, 12, 16)
WHITE: Colour = (250, 248, 240)


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one poster."""

    top: Colour
    """The sky at the upper edge."""
    low: Colour
    """The sky at the horizon."""
    ink: Colour
    """Ground and silhouettes."""
    haze: Colour
    """Light behind silhouettes."""
    accent: Colour
    """What stands out; the first choice for the title."""

    @classmethod
    def of(cls, *codes: str) -> Self:
        """Return the palette of five hexadecimal colours."""
        return cls(*(hexed(code) for code in codes))

    def varied(self, rng: Random) -> "Palette":
        """Return the palette with hue, saturation and brightness moved a little, all five colours alike."""
        hue, saturation, value = rng.gauss(0, 0.022), rng.uniform(0.78, 1.12), rng.uniform(0.85, 1.12)

        def moved(colour: Colour) -> Colour:
            h, s, v = colorsys.rgb_to_hsv(*(channel / 255 for channel in colour))
            r, g, b = colorsys.hsv_to_rgb((h + hue) % 1, min(1, s * saturation), min(1, v * value))
            return round(255 * r), round(255 * g), round(255 * b)

        return Palette(*(moved(c) for c in (self.top, self.low, self.ink, self.haze, self.accent)))


def hexed(code: str) -> Colour:
    """Return the colour of six hexadecimal digits."""
    return int(code[0:2], 16), int(code[2:4], 16), int(code[4:6], 16)


def blend(one: Colour, other: Colour, share: float) -> Colour:
    """Return the colour that lies ``share`` of the way from one to the other."""
    r, g, b = (round(a + (c - a) * share) for a, c in zip(one, other, strict=True))
    return r, g, b


def brightness(colour: Colour) -> float:
    """Return the luma of a colour, 0 to 255 (ITU-R BT.601)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
