"""Where names of points stand so that few of them hide anything."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
WIDE, TALL = 0.6, 0.8
"""Of a letter, in units of the font size."""
GAP = 3.5
"""Between the middle of a point and its name, in points."""
MARKER = 2.5
"""Half the side of what a marker covers, in points."""
APART = 2.5
"""Between two names side by side, in points."""
DISTANCES = (0.0, 0.8, 1.6, 2.6)
"""How far off a name may stand, in heights of a letter."""
FARTHER = 0.2
"""Share of itself that a name would rather hide than stand a height farther off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """Where a text stands, in points from the lower left corner of the figure."""

    x: float
    """Of its ``side``."""
    y: float
    """Of its lower edge."""
    side: str
    """``left``, ``center`` or ``right``; letters are only measured roughly, so that it matters which end is held."""


def place_labels(points: Floats, texts: Sequence[str], *, size: float, within: Sequence[float]) -> list[Label]:
    """Return a place for each text: near its point, where it hides little of what is there already.

    Args:
        points: ``(n,2)``, what the texts name, in points from the lower left corner of the figure.
        texts: One for each point.
        size: Of the font, in points.
        within: Left, bottom, right and top of the frame that no text should leave.
    """
    taken = np.hstack([points - MARKER, points + MARKER])  # (k, left bottom right top)
    labels = []
    for (x, y), text in zip(points, texts, strict=True):
        width, height = WIDE * size * len(text), TALL * size
        candidates = list(_candidates(float(x), float(y), height))
        boxes = np.array([box_of(label, width, height) for label, _ in candidates])
        far = np.array([distance for _, distance in candidates])
        hidden = np.array([_overlap(box, taken).sum() for box in boxes])
        outside = width * height - _overlap(np.array(within), boxes)
        cost = hidden + 10 * outside + FARTHER * width * height * far
        best = int(np.argmin(cost.round(6)))  # the first of equals: right of the point
        taken = np.concatenate([taken, boxes[[best]] + APART * np.array([-1, 0, 1, 0])])
        labels.append(candidates[best][0])
    return labels


def box_of(label: Label, width: float, height: float) -> tuple[float, float, float, float]:
    """Return left, bottom, right and top of a text."""
    left = label.x - {"left": 0.0, "center": 0.5, "right": 1.0}[label.side] * width
    return left, label.y, left + width, label.y + height


def _candidates(x: float, y: float, height: float) -> Iterator[tuple[Label, float]]:
    """Yield places right, left, above and below of a point, and how far off each is, nearest first."""
    for far in DISTANCES:
        for up in dict.fromkeys((far, -far)):
            middle = y + (up - 0.5) * height
            yield Label(x=x + GAP, y=middle, side="left"), far
            yield Label(x=x - GAP, y=middle, side="right"), far
        yield Label(x=x, y=y + GAP + far * height, side="center"), far + 0.5
        yield Label(x=x, y=y - GAP - (1 + far) * height, side="center"), far + 0.5


def _overlap(box: Floats, others: Floats) -> Floats:
    """Return ``(k,)`` areas that one box shares with each of the others."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    areas: Floats = sides.clip(min=0).prod(axis=1)
    return areas
