"""Silhouettes of people, which several genres dress differently."""

from postergenre.data.synthetic.palette import Colour
from postergenre.data.synthetic.pen import Pen, Point

HATS = ("", "stetson", "fedora", "helmet")


def stand(
    pen: Pen,
    colour: Colour,
    *,
    hat: str = "",
    coat: bool = False,
    dress: bool = False,
    stance: float = 0.16,
    arm: float = 0.3,
) -> None:
    """Draw someone upright between y = -1 and 1.

    Args:
        pen: Where.
        colour: Of the whole silhouette.
        hat: One of ``HATS``.
        coat: A long coat.
        dress: A dress and long hair.
        stance: How far apart the feet are.
        arm: How far out the hands are.
    """
    if dress:
        pen.polygon([(-0.13, -0.62), (0.13, -0.62), (0.1, -0.2), (0.36, 0.5), (-0.36, 0.5), (-0.1, -0.2)], colour)
        pen.blob([(-0.15, -0.95), (0, -1), (0.15, -0.95), (0.2, -0.55), (0, -0.6), (-0.2, -0.55)], colour)
    else:
        pen.polygon([(-0.26, -0.6), (-0.1, -0.68), (0.1, -0.68), (0.26, -0.6), (0.19, 0.06), (-0.19, 0.06)], colour)
    if coat:
        pen.polygon([(-0.2, -0.1), (0.2, -0.1), (0.36, 0.66), (0.05, 0.6), (-0.36, 0.66)], colour)
    for side in (-1, 1):
        foot = side * stance
        pen.polygon(
            [
                (side * 0.19, 0),
                (0, 0),
                (foot - side * 0.07, 0.96),
                (foot + side * 0.16, 0.99),
                (foot + side * 0.06, 0.9),
            ],
            colour,
        )
        pen.line([(side * 0.22, -0.57), (side * (0.14 + arm), -0.25), (side * arm, 0.05)], colour, 0.12)
    pen.ellipse(0, -0.82, 0.125, 0.15, colour=colour)
    _cover(pen, colour, hat)


def run(pen: Pen, colour: Colour) -> None:
    """Draw someone running to the right between y = -1 and 1."""
    pen.ellipse(0.26, -0.8, 0.13, 0.15, colour=colour)
    pen.polygon([(0.02, -0.68), (0.32, -0.6), (0.12, 0.05), (-0.2, 0.05)], colour)
    pen.line([(0.02, 0), (0.42, 0.2), (0.3, 0.66), (0.44, 0.7)], colour, 0.18)
    pen.line([(-0.08, 0), (-0.2, 0.45), (-0.68, 0.62), (-0.74, 0.76)], colour, 0.17)
    pen.line([(0.24, -0.55), (0.48, -0.28), (0.74, -0.44)], colour, 0.12)
    pen.line([(0.06, -0.56), (-0.3, -0.42), (-0.42, -0.1)], colour, 0.12)


def _cover(pen: Pen, colour: Colour, hat: str) -> None:
    shapes: dict[str, list[Point]] = {
        "stetson": [
            (-0.36, -0.96),
            (-0.3, -0.88),
            (0.3, -0.88),
            (0.36, -0.96),
            (0.15, -0.92),
            (0.11, -1.16),
            (0, -1.1),
            (-0.11, -1.16),
            (-0.15, -0.92),
        ],
        "fedora": [
            (-0.27, -0.87),
            (0.27, -0.9),
            (0.15, -0.95),
            (0.11, -1.1),
            (0, -1.06),
            (-0.12, -1.09),
            (-0.15, -0.94),
        ],
        "helmet": [(-0.21, -0.82), (0.21, -0.82), (0.16, -0.97), (0, -1.04), (-0.16, -0.97)],
    }
    if hat:
        pen.polygon(shapes[hat], colour)
