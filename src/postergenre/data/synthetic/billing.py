"""The small type: tagline, cast and billing block."""

from random import Random

from PIL import Image

from postergenre.data.synthetic.canvas import HEIGHT, WIDTH, Canvas
from postergenre.data.synthetic.lettering import HALF, letter_mask
from postergenre.data.synthetic.palette import BLACK, WHITE, Colour, brightness

_FIRST = (
    "ANNA", "BEN", "CLARA", "DAVID", "EMMA", "FRANK", "GRETA", "HUGO", "IRIS", "JACK", "KATE", "LEO", "MIA", "NED",
    "OLGA", "PAUL", "RUTH", "SAM", "TESS", "VICTOR",
)  # fmt: skip
_LAST = (
    "ADAMS", "BELL", "COLE", "DRAKE", "ELLIS", "FROST", "GRANT", "HALE", "IVERS", "JONES", "KENT", "LANE", "MOSS",
    "NOLAN", "PRICE", "QUINN", "REED", "STONE", "WEST",
)  # fmt: skip


def write_line(
    canvas: Canvas, text: str, y: float, *, size: int, narrow: float = 1.0, colour: Colour, alpha: float
) -> None:
    """Write one centred line of small type, as narrow as it takes to fit."""
    mask = letter_mask(text, size, 0)
    width = min(round(mask.width * narrow), WIDTH - 44)
    mask = mask.resize((width, mask.height), Image.Resampling.BOX)
    x, solid = (WIDTH - width) // 2, mask.point([round(i * alpha) for i in range(256)])
    canvas.picture.paste(BLACK if brightness(colour) > 110 else WHITE, (x + 1, round(y) + 1), solid.point(HALF))
    canvas.picture.paste(colour, (x, round(y)), solid)


def write_credits(canvas: Canvas, rng: Random, title: str) -> None:
    """Write the billing block at the lower edge."""
    top = HEIGHT - 49
    colour = WHITE if brightness(canvas.mean((0, top, WIDTH, HEIGHT))) < 135 else BLACK
    names = [f"{rng.choice(_FIRST)} {rng.choice(_LAST)}" for _ in range(9)]
    lines = (
        f"{rng.choice(_LAST)} PICTURES presents  a {rng.choice(_LAST)} production  {names[0]}  {names[1]}",
        f"“{title}”  {names[2]}  {names[3]}  music by {names[4]}  edited by {names[5]}",
        f"produced by {names[6]}  written by {names[7]}  directed by {names[8]}",
    )
    for number, line in enumerate(lines):
        write_line(canvas, line, top + 13 * number, size=12, narrow=0.62, colour=colour, alpha=0.72)


def cast_of(rng: Random) -> str:
    """Return the names above the title."""
    return "     ".join(f"{rng.choice(_FIRST)} {rng.choice(_LAST)}" for _ in range(2))


def readable(canvas: Canvas, y: float, height: float) -> Colour:
    """Return black or white, whichever can be read at a height of the picture."""
    return WHITE if brightness(canvas.mean((40, y, WIDTH - 40, y + height))) < 140 else BLACK
