"""A title with its poster and genres, wherever it comes from; and how genres are spelled there."""

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

NOTHING = ("", "nan", "none", "null", "[]")


@dataclass(kw_only=True, slots=True)
class Title:
    """A film or series that can become a row."""

    id: str
    """Names it, and its picture's file."""
    picture: str
    """Address or path of its poster."""
    genres: list[str]
    """At least one."""
    columns: dict[str, str] = field(default_factory=dict)
    """What else is known of it."""
    more: Callable[[], dict[str, str]] | None = None
    """Asks for further columns."""


@dataclass(kw_only=True, slots=True)
class Skip:
    """One that cannot, and why."""

    id: str
    picture: str
    reason: str
    passing: bool = False
    """Whether the same command may get it later."""


@dataclass(kw_only=True, slots=True)
class Listing:
    """What a source has."""

    items: Iterator[Title | Skip]
    """Come as they are asked for, in the order of the rows to be."""
    total: int | None = None
    """How many titles at most, where that is known."""
    notes: list[str] = field(default_factory=list)
    """What the user should know of how the source was read, a sentence each."""


def file_name(text: str) -> str:
    """Return the text as a file can be called, the same for the same text and no other."""
    plain = re.sub(r"[^\w.-]+", "_", text.strip(), flags=re.ASCII).lstrip(".")[:80]
    return plain if plain and plain == text else f"{plain or 'x'}-{sha256(text.encode()).hexdigest()[:8]}"


def tidy(names: Iterable[str]) -> list[str]:
    """Return genre names as a poster CSV can hold them: each once, and none with ``|`` or ``,`` within."""
    parts = (part.strip() for name in names for part in re.split(r"[|,]", name))
    return list(dict.fromkeys(part for part in parts if part.lower() not in NOTHING))


def parse_genres(text: str) -> list[str]:
    """Return the genres that a cell names in any of the usual spellings.

    >>> parse_genres("Drama | Comedy") == parse_genres("Drama, Comedy") == parse_genres("['Drama', 'Comedy']")
    True
    >>> parse_genres('[{"id": 18, "name": "Drama"}, {"id": 35, "name": "Comedy"}]')
    ['Drama', 'Comedy']
    """
    text = text.strip()
    if text[:1] in ("[", "(", "{", '"'):
        for read in (json.loads, ast.literal_eval):
            try:
                return tidy(_names(read(text)))
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                continue
    separator = next((mark for mark in "|;" if mark in text), ",")
    return tidy(text.split(separator))


def _names(value: Any) -> list[str]:
    """Return the names in a list of texts or of ``{"name": …}``."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [value["name"]] if isinstance(value.get("name"), str) else _wrong(value)
    if isinstance(value, list | tuple | set):
        return [name for item in value for name in _names(item)]
    return _wrong(value)


def _wrong(value: Any) -> list[str]:
    raise TypeError(f"no genres: {value!r}")
