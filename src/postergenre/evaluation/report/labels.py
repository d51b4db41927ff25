"""Where names of points stand so that few of them hide anything."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
WIDE, TALL = 0.58, 0.8
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


def place_labels(
    points: Floats, texts: Sequence[str], *, size: float, within: Sequence[float]
) -> list[tuple[float, float]]:
    """Return the lower left corner of each text: near its point, where it hides little of what is there already.

    Args:
        points: ``(n,2)``, what the texts name, in points from the lower left corner of the figure.
        texts: One for each point.
        size: Of the font, in points.
        within: Left, bottom, right and top of the frame that no text should leave.
    """
    taken = np.hstack([points - MARKER, points + MARKER])  # (k, left bottom right top)
    corners = []
    for (x, y), text in zip(points, texts, strict=True):
        width, height = WIDE * size * len(text), TALL * size
        left, bottom, far = np.array(_candidates(x, y, width, height)).T
        boxes = np.stack([left, bottom, left + width, bottom + height], axis=1)
        hidden = np.array([_overlap(box, taken).sum() for box in boxes])
        outside = width * height - _overlap(np.array(within), boxes)
        cost = hidden + 10 * outside + FARTHER * width * height * far
        best = int(np.argmin(cost))  # the first of equals: right of the point
        taken = np.concatenate([taken, boxes[[best]] + APART * np.array([-1, 0, 1, 0])])
        corners.append((float(left[best]), float(bottom[best])))
    return corners


def _candidates(x: float, y: float, width: float, height: float) -> list[tuple[float, float, float]]:
    """Return corners right, left, above and below of a point, and how far off each is, nearest first."""
    corners = []
    for far in DISTANCES:
        for up in (far, -far):
            corners += [(x + GAP, y + (up - 0.5) * height, far), (x - GAP - width, y + (up - 0.5) * height, far)]
        corners += [
            (x - width / 2, y + GAP + far * height, far + 0.5),
            (x - width / 2, y - GAP - (1 + far) * height, far + 0.5),
        ]
    return corners


def _overlap(box: Floats, others: Floats) -> Floats:
    """Return ``(k,)`` areas that one box shares with each of the others."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    areas: Floats = sides.clip(min=0).prod(axis=1)
    return areas
