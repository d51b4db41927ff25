"""What makes the posters of one genre: colours, backdrops, motifs and words."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from postergenre.data.synthetic.canvas import Canvas
from postergenre.data.synthetic.palette import Palette
from postergenre.data.synthetic.pen import Pen

Motif = Callable[[Pen, Random], None]
"""Draws a motif about the pen's origin: of a ground, the middle of the horizon, with half the width as the unit."""
Backdrop = Callable[[Canvas, Random], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One genre as its posters show it."""

    palettes: tuple[Palette, ...]
    backdrops: tuple[Backdrop, ...]
    skies: tuple[Motif, ...]
    """Motifs for the upper part."""
    heroes: tuple[Motif, ...]
    """Motifs for the middle."""
    grounds: tuple[Motif, ...]
    """Motifs for the horizon, over the whole width."""
    lettering: tuple[str, ...]
    """Styles of the title."""
    firsts: tuple[str, ...]
    """What a title begins with."""
    lasts: tuple[str, ...]
    """What a title ends with."""
    taglines: tuple[str, ...]
