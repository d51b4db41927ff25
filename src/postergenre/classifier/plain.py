"""Plain data from strangers: text, numbers and lists of those, not too much of it, and of the right types."""

from collections.abc import Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

from postergenre.errors import CheckpointError

T = TypeVar("T")
MOST = 2_000_000
"""Values in all, each counted as often as it is met: a list may hold another list a thousand times, and that again."""
DEEPEST = 32
LONGEST = 1_000_000
"""Letters of a text."""
LARGEST = 2**63
SHOWN = 80
"""Letters of a wrong value that a message repeats."""


def check_plain(value: object) -> None:
    """See that a value is text, a number, a truth, nothing, or lists and tables of those.

    Raises:
        CheckpointError: It is not, or is too large, too deep or too long to be what a checkpoint says of itself.
    """
    count = 0
    waiting: list[tuple[object, int]] = [(value, 0)]
    while waiting:
        part, depth = waiting.pop()
        count += 1
        match part:
            case dict() | list() | tuple():
                inner = [*part.keys(), *part.values()] if isinstance(part, dict) else part
                count += len(inner)
                if count > MOST or depth > DEEPEST:
                    raise CheckpointError("its contract is broken: it holds more than a contract says")
                if isinstance(part, dict) and not all(isinstance(key, str) for key in part):
                    raise CheckpointError("its contract is broken: a name in it is no text")
                waiting += ((item, depth + 1) for item in inner if isinstance(item, dict | list | tuple))
                for item in inner:
                    _check_single(item)
            case _:
                _check_single(part)


def _check_single(value: object) -> None:
    if not isinstance(value, str | int | float | dict | list | tuple | None):
        raise CheckpointError(f"its contract is broken: it holds a {type(value).__name__}, and takes only plain data")
    if isinstance(value, str) and len(value) > LONGEST:
        raise CheckpointError(f"its contract is broken: a text in it has {len(value):,} letters")
    if isinstance(value, int) and not -LARGEST <= value < LARGEST:
        raise CheckpointError("its contract is broken: a number in it is too large")


def built(kind: type[T], told: object, *, name: str) -> T:
    """Return the dataclass that a file tells of, once every value is of the type that the class says.

    Args:
        kind: The dataclass.
        told: Its settings by name.
        name: What the file calls them.

    Raises:
        CheckpointError: They are no such settings.
        PosterGenreError: The class refuses one.
        TypeError: One is not known, or missing.
    """
    if not isinstance(told, Mapping):
        raise CheckpointError(f"its contract is broken: {name} is not a table")
    for setting in fields(kind):  # type: ignore[arg-type]
        if setting.name in told and not is_of(value := told[setting.name], setting.type):
            shown = repr(value)
            shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]} …"
            raise CheckpointError(f"its contract is broken: {name}.{setting.name} cannot be {shown}")
    return kind(**told)


def is_of(value: object, kind: Any) -> bool:
    """Return whether a value is of an annotated type, such as ``int``, ``str | None`` or ``dict[str, list[float]]``."""
    if kind is Any:
        return True
    if isinstance(kind, UnionType):
        return any(is_of(value, one) for one in get_args(kind))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if not isinstance(value, origin):
        return False
    if origin is list and inner:
        return all(is_of(item, inner[0]) for item in value)
    if origin is dict and inner:
        return all(is_of(key, inner[0]) and is_of(item, inner[1]) for key, item in value.items())
    return True
