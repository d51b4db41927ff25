"""The pen motifs are drawn with: it places them, and knows afterwards where they are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from postergenre.data.synthetic.canvas import HEIGHT, SCALE, WIDTH, Canvas
from postergenre.data.synthetic.palette import Colour, Palette

Point = tuple[float, float]
Box = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels of the poster."""

_CIRCLE = [(math.cos(2 * math.pi * i / 44), math.sin(2 * math.pi * i / 44)) for i in range(44)]


@dataclass(slots=True)
class Pen:
    """Draws in units of a motif, -1 to 1 either way and y downwards, wherever it is placed; notes what it touches."""

    canvas: Canvas
    x: float
    y: float
    size: float
    """Pixels of one unit."""
    flip: bool = False
    tilt: float = 0.0
    """Degrees, clockwise."""
    opacity: float = 1.0
    touched: list[float] = field(default_factory=lambda: [math.inf, math.inf, -math.inf, -math.inf])

    @property
    def palette(self) -> Palette:
        """The colours of the poster."""
        return self.canvas.palette

    def at(self, point: Point) -> Point:
        """Return where a point of the motif lies on the canvas."""
        right, down = (-point[0] if self.flip else point[0]), point[1]
        if self.tilt:
            turn = math.radians(self.tilt)
            right, down = (
                right * math.cos(turn) - down * math.sin(turn),
                right * math.sin(turn) + down * math.cos(turn),
            )
        return self.x + right * self.size, self.y + down * self.size

    def moved(self, x: float, y: float, size: float = 1.0, *, flip: bool = False, tilt: float = 0.0) -> "Pen":
        """Return a pen for a part of the motif, with units of its own."""
        place = self.at((x, y))
        return Pen(
            self.canvas, *place, self.size * size, self.flip != flip, self.tilt + tilt, self.opacity, self.touched
        )

    def level(self, size: float | None = None) -> "Pen":
        """Return an upright pen in the middle of the poster at the same height, for what spans the whole width."""
        return Pen(self.canvas, WIDTH / 2, self.y, size or self.size, opacity=self.opacity, touched=self.touched)

    def polygon(self, points: Sequence[Point], colour: Colour, *, alpha: float = 1.0, noted: bool = True) -> None:
        """Fill a polygon; ``noted=False`` where it is not part of what makes the motif."""
        placed = [self.at(point) for point in points]
        if noted:
            self._note(placed, 0)
        self.canvas.draw.polygon(placed, fill=self._paint(colour, alpha))

    def ellipse(
        self, x: float, y: float, rx: float, ry: float = 0, *, colour: Colour, alpha: float = 1, noted: bool = True
    ) -> None:
        """Fill an ellipse, or a circle where ``ry`` is left out."""
        ry = ry or rx
        self.polygon([(x + rx * c, y + ry * s) for c, s in _CIRCLE], colour, alpha=alpha, noted=noted)

    def blob(self, points: Sequence[Point], colour: Colour, *, alpha: float = 1.0, noted: bool = True) -> None:
        """Fill a closed smooth curve through the points (Catmull-Rom)."""
        self.polygon(smooth(points), colour, alpha=alpha, noted=noted)

    def line(self, points: Sequence[Point], colour: Colour, width: float, *, alpha: float = 1.0) -> None:
        """Draw a line with round ends, ``width`` in units of the motif."""
        placed = [self.at(point) for point in points]
        thick = max(1.0, width * self.size)
        self._note(placed, thick / 2)
        paint = self._paint(colour, alpha)
        self.canvas.draw.line(placed, fill=paint, width=round(thick), joint="curve")
        if thick > 4 and paint[3] == 255:
            for x, y in (placed[0], placed[-1]):
                self.canvas.draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=paint)

    def glow(self, x: float, y: float, radius: float, colour: Colour, *, strength: float = 1.0) -> None:
        """Lay a soft disc of light around a point of the motif."""
        self.canvas.glow(*self.at((x, y)), radius * self.size, colour, strength=strength * self.opacity)

    def box(self) -> Box | None:
        """Return left, top, right and bottom of what was touched, in pixels of the poster; None where nothing shows."""
        left, right = (min(max(side / SCALE, 0), WIDTH // SCALE) for side in (self.touched[0], self.touched[2]))
        top, bottom = (min(max(side / SCALE, 0), HEIGHT // SCALE) for side in (self.touched[1], self.touched[3]))
        if left >= right or top >= bottom:
            return None
        return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)

    def _paint(self, colour: Colour, alpha: float) -> tuple[int, int, int, int]:
        return (*colour, round(255 * alpha * self.opacity))

    def _note(self, placed: Sequence[Point], margin: float) -> None:
        across, down = [x for x, _ in placed], [y for _, y in placed]
        self.touched[0] = min(self.touched[0], min(across) - margin)
        self.touched[1] = min(self.touched[1], min(down) - margin)
        self.touched[2] = max(self.touched[2], max(across) + margin)
        self.touched[3] = max(self.touched[3], max(down) + margin)


def smooth(points: Sequence[Point], *, steps: int = 6) -> list[Point]:
    """Return a closed Catmull-Rom curve through the points."""
    curve: list[Point] = []
    for i in range(len(points)):
        a, b, c, d = (points[(i + k) % len(points)] for k in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            curve.append(
                (
                    _between(a[0], b[0], c[0], d[0], t),
                    _between(a[1], b[1], c[1], d[1], t),
                )
            )
    return curve


def _between(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
