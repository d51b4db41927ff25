"""The templates beside this file, filled. Whatever is put into a page is escaped, unless it is a ``Markup`` already."""

import math
import re
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

NOTHING = "–"
"""Stands where there is no number."""
SPECIAL = re.compile(r"([\\`*_\[\]|~$#])")
ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def fill(template: str, /, **values: object) -> str:
    """Return a template with its holes filled.

    Args:
        template: The name of a file beside this one, or the text of another that may import from those.
        values: What the holes are called, and what they hold.
    """
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        loader=FunctionLoader(read),
    )
    environment.filters |= {"number": number, "signed": signed, "finite": finite, "plain": plain, "fenced": fenced}
    return environment.from_string(template if "\n" in template else read(template)).render(**values)


def read(name: str, *, room: str = __package__) -> str:
    """Return the text of a file of ``room``, by default of one beside this."""
    return files(room).joinpath(name).read_text(encoding="utf-8")


def number(value: object, digits: int = 3) -> str:
    """Return a number as it is printed: whole numbers whole, others rounded, nothing where there is none."""
    if value is None or not isinstance(value, int | float) or not math.isfinite(value):
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"


def signed(value: float, digits: int = 3) -> str:
    """Return a difference as it is printed: with its sign, and a true minus."""
    return f"{value:+.{digits}f}".replace("-", "−") if math.isfinite(value) else NOTHING


def finite(value: float) -> float:
    """Return the number, or 0 where it is none."""
    return value if math.isfinite(value) else 0.0


def plain(text: object) -> Markup:
    """Return text for a line of Markdown that shows as it is, whatever it holds."""
    line = SPECIAL.sub(r"\\\1", " ".join(str(text).split()))
    return Markup(line.translate(ENTITIES))  # noqa: S704 - just escaped


def fenced(text: object) -> Markup:
    """Return text as a block of code in Markdown, within a fence longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", str(text))), default=0)
    fence = "`" * max(longest + 1, 3)
    return Markup(f"{fence}text\n{text}\n{fence}")  # noqa: S704 - nothing within a fence is markup
