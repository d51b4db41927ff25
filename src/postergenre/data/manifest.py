"""The poster CSV, read and checked before anything is decoded.

Two schemas are understood. The original one has ``Id, Genre`` and a 0/1 column per genre, where ``Genre`` is the text
of a Python list and the picture lies at ``<images>/<Id>.jpg``. The simple one has ``image, genres`` with the genres
separated by ``|`` or ``,`` and the picture at ``<root>/<image>``. Either may have a ``split`` column, and further ones
that say more about a poster; see ``columns``.
"""

import ast
import io
import os
import re
import tokenize
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from token import STRING

import numpy as np
import pandas as pd

from postergenre.data.table import LINE, SHOWN, read_table
from postergenre.errors import DataError, brief, brief_list
from postergenre.genres import NAMES, GenreMapping, Genres, is_name

SPLITS = ("train", "val", "test")


@dataclass(kw_only=True, slots=True)
class Manifest:
    """The distinct posters of a CSV, N of them, in the order of their first rows."""

    ids: list[str]
    """Name of each poster, unique."""
    files: list[str]
    """Where each picture lies. Text, not ``Path``: half a kilobyte less for each of perhaps a million posters."""
    labels: list[tuple[str, ...]]
    """Genres of each poster after the mapping, without the ignored ones; empty where nothing is known."""
    genres: Genres
    """Every genre but the ignored ones: of a fixed vocabulary, or in the order of the CSV's columns, or else of the
    alphabet."""
    rows: list[list[int]]
    """For each poster the rows of the CSV that hold it, counted from 0 without the header."""
    splits: list[str] | None
    """The ``split`` column, where there is one."""
    outside: Counter[str] = field(default_factory=Counter)
    """How many posters had each genre that a fixed vocabulary left out."""

    @property
    def paths(self) -> list[Path]:
        """Where each picture lies."""
        return [Path(file) for file in self.files]

    @property
    def num_rows(self) -> int:
        """Rows of the CSV, repeats included."""
        return sum(len(rows) for rows in self.rows)

    @property
    def num_repeats(self) -> int:
        """Rows dropped because an earlier row says exactly the same."""
        return self.num_rows - len(self.ids)


Names = tuple[str, ...]
Problem = tuple[int, str, str]
"""Row, column, what is wrong there. Rows are counted from 0 while a table is read, and told as lines in the end."""


@dataclass(kw_only=True, slots=True)
class Defects:
    """What is wrong with a poster CSV, for who wants to know it all instead of being stopped by it."""

    problems: list[Problem] = field(default_factory=list)
    """With lines as an editor counts them, in their order."""
    missing: list[str] = field(default_factory=list)
    """Pictures that are not there."""


def read_manifest(
    path: Path,
    *,
    images: Path,
    ignore: Sequence[str] = ("N/A",),
    mapping: GenreMapping | None = None,
    defects: Defects | None = None,
) -> Manifest:
    """Return the posters of a CSV after every check that needs no decoding.

    Args:
        path: The CSV, UTF-8 with or without byte-order mark.
        images: Folder of ``<Id>.jpg`` in the original schema; the simple schema is relative to the CSV's own folder.
        ignore: Names that stand among the genres without being one.
        mapping: What happens to the genres; nothing where nothing is said.
        defects: Where given, what is wrong with rows and files is added to it and stops nothing: a poster then has the
            genres that the text of its first row names, and rows that name no poster are left out.

    Raises:
        ConfigError: The mapping names what is not there.
        DataError: The CSV cannot be used; one message names every kind of problem with file, row and column.
    """
    mapping = mapping or GenreMapping()
    table = read_table(path)
    if "Id" in table.columns:
        _require(path, table, "Id", "Genre")
        labels, columns, problems = _original_labels(table)
        ids, files = table["Id"].tolist(), [str(images / f"{name}.jpg") for name in table["Id"]]
        column, genre_column = "Id", "Genre"
    else:
        _require(path, table, "image", "genres")
        labels = [tuple(g.strip() for g in re.split(r"[|,]", text) if g.strip()) for text in table["genres"]]
        columns, problems = [], []
        ids, files = table["image"].tolist(), [str(path.parent / name) for name in table["image"]]
        column, genre_column = "image", "genres"
    if bad := [name for name in columns if not is_name(name)]:
        raise DataError(f"{path} has a column {brief(repr(bad[0]))}, which cannot be a genre: {NAMES}")
    problems += [
        (row, genre_column, f"{brief(repr(bad[0]))} cannot be a genre: {NAMES}")
        for row, names in enumerate(labels)
        if (bad := [name for name in names if not is_name(name)])
    ]
    labels = [tuple(filter(is_name, names)) for names in labels]
    lines = table[LINE].tolist()
    problems += [(row, column, "is empty") for row, name in enumerate(ids) if not name.strip()]
    named = {row for row, _, _ in problems}
    problems += [
        (row, genre_column, "names no genre") for row, names in enumerate(labels) if not names and row not in named
    ]
    splits = _splits(table, problems)
    first, rows = _merge_repeats(ids, labels, splits, lines, column, problems)
    problems.sort(key=lambda problem: problem[0])
    told = [(lines[row], name, what) for row, name, what in problems]
    if defects is None:
        refuse(path, told)
    else:
        defects.problems += told
        rows = [held for row, held in zip(first, rows, strict=True) if ids[row].strip()]
        first = [row for row in first if ids[row].strip()]
        if columns:  # text that contradicts the 0/1 columns may name what is no column
            columns = list(dict.fromkeys([*columns, *sorted({genre for row in first for genre in labels[row]})]))
        if set(ignore).issuperset(columns or {genre for row in first for genre in labels[row]}):
            refuse(path, told)  # without any genre there is no poster set to speak of
    vocabulary, became, outside = _mapped(columns, labels, mapping, ignore)
    if mapping.unknown == "error":
        told = [
            (lines[row], genre_column, f"{', '.join(outside[labels[row]])} is not in genres.vocabulary")
            for row in first
            if outside[labels[row]]
        ]
        if defects is None:
            refuse(path, told, help="map it with genres.rename or genres.drop, or say genres.unknown=drop")
        else:
            defects.problems = sorted([*defects.problems, *told], key=lambda problem: problem[0])
    _check_files([files[row] for row in first], path, defects)
    return Manifest(
        ids=[ids[row] for row in first],
        files=[files[row] for row in first],
        labels=[became[labels[row]] for row in first],
        genres=vocabulary,
        rows=rows,
        splits=[splits[row] for row in first] if splits else None,
        outside=Counter(genre for row in first for genre in outside[labels[row]]),
    )


def refuse(path: Path, problems: Sequence[Problem], *, help: str = "") -> None:
    """Raise one error that tells the first of many problems of a CSV, in the order given, and counts the rest.

    Args:
        path: The CSV.
        problems: With lines as an editor counts them; nothing happens where there are none.
        help: What to do about them.

    Raises:
        DataError: There are some.
    """
    if problems:
        told = "; ".join(f"row {line}, column {name}: {what}" for line, name, what in problems[:SHOWN])
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise DataError(f"{len(problems)} problem(s) in {path}: {told}{more}{f'; {help}' if help else ''}")


def _mapped(
    columns: Sequence[str], labels: Sequence[Names], mapping: GenreMapping, ignore: Sequence[str]
) -> tuple[Genres, dict[Names, Names], dict[Names, Names]]:
    """Return the vocabulary, and what each set of names became: its genres, and those the vocabulary leaves out."""
    names = columns or sorted({name for held in labels for name in held})
    mapping.check(names)
    known = mapping.vocabulary_of(name for name in names if name not in ignore)
    if not (columns or mapping.vocabulary):
        known.sort()
    vocabulary = Genres(genre for genre in known if genre not in ignore)
    inside, outside = {}, {}
    for held in dict.fromkeys(labels):
        genres = mapping.genres_of(name for name in held if name not in ignore)
        inside[held] = tuple(genre for genre in genres if genre in vocabulary)
        outside[held] = tuple(genre for genre in genres if genre not in vocabulary and genre not in ignore)
    return vocabulary, inside, outside


def _require(path: Path, table: pd.DataFrame, *columns: str) -> None:
    if missing := [name for name in columns if name not in table.columns]:
        names = table.columns.drop(LINE)
        hint = "; write commas between its cells" if len(names) == 1 and re.search(r"[;\t|]", names[0]) else ""
        raise DataError(
            f"{path} has no column {', '.join(missing)}; it has: {brief_list(names)}{hint}. "
            "Known schemas: 'Id, Genre, one 0/1 column per genre' and 'image, genres[, split]'"
        )


def _original_labels(table: pd.DataFrame) -> tuple[list[tuple[str, ...]], list[str], list[Problem]]:
    problems: list[Problem] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of backslashes, which are as good as other characters
        parsed = {text: _parse_list(text) for text in table["Genre"].unique()}
    labels = [parsed[text] for text in table["Genre"]]
    problems += [
        (row, "Genre", f"{brief(repr(table['Genre'][row]))} is not the text of a list of names")
        for row, names in enumerate(labels)
        if names is None
    ]
    known = [names or () for names in labels]
    named = {name for names in parsed.values() for name in names or ()}
    columns = [
        name
        for name in table.columns
        if name not in ("Id", "Genre", "split", LINE) and (name in named or table[name].isin(("0", "1")).all())
    ]
    if not columns:
        return known, columns, problems
    cells = table[columns].to_numpy()
    wrong = (cells != "0") & (cells != "1")
    problems += [
        (int(row), columns[column], f"{brief(repr(cells[row, column]))} is neither 0 nor 1")
        for row, column in np.argwhere(wrong)
    ]
    for row, (names, ones) in enumerate(zip(labels, cells == "1", strict=True)):
        if names is None or wrong[row].any() or not all(map(is_name, names)):
            continue
        marked = {columns[column] for column in np.flatnonzero(ones)}
        if marked != set(names):
            problems += [
                (
                    row,
                    "Genre",
                    f"{', '.join(names) or 'nothing'} against the 0/1 columns' "
                    f"{', '.join(sorted(marked)) or 'nothing'}",
                )
            ]
    return known, columns, problems


def _parse_list(text: str) -> tuple[str, ...] | None:
    try:
        value = ast.literal_eval(text)
        strings = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == STRING]
    except (ValueError, SyntaxError, MemoryError, RecursionError, tokenize.TokenError):
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        return None
    if len(strings) != len(value):
        return None  # as NumPy prints them, without commas: to Python that is one long name
    return tuple(dict.fromkeys(value))


def _splits(table: pd.DataFrame, problems: list[Problem]) -> list[str] | None:
    if "split" not in table.columns:
        return None
    splits = ["val" if text == "validation" else text for text in table["split"].str.strip().str.lower()]
    problems += [
        (row, "split", f"{brief(repr(name))} is none of {', '.join(SPLITS)}")
        for row, name in enumerate(splits)
        if name not in SPLITS
    ]
    return splits


def _merge_repeats(
    ids: Sequence[str],
    labels: Sequence[tuple[str, ...]],
    splits: Sequence[str] | None,
    lines: Sequence[int],
    column: str,
    problems: list[Problem],
) -> tuple[list[int], list[list[int]]]:
    """Return each distinct poster's first row and all its rows; a repeat that says something else is a problem."""
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(ids):
        rows = rows_of.setdefault(name, [])
        rows.append(row)
        for what, says in _sayings(rows[0], row, labels, splits):
            problems.append((row, column, f"{name} repeats row {lines[rows[0]]} with other {what} ({says})"))
    return [rows[0] for rows in rows_of.values()], list(rows_of.values())


def _sayings(
    first: int, row: int, labels: Sequence[tuple[str, ...]], splits: Sequence[str] | None
) -> Iterator[tuple[str, str]]:
    if set(labels[first]) != set(labels[row]):
        yield "genres", f"{', '.join(labels[row])} against {', '.join(labels[first])}"
    if splits and splits[first] != splits[row]:
        yield "split", f"{splits[row]} against {splits[first]}"


def _check_files(files: Sequence[str], manifest: Path, defects: Defects | None) -> None:
    missing = [file for file in files if not os.path.isfile(file)]
    if defects is not None:
        defects.missing += missing
    elif missing:
        told = ", ".join(map(brief, missing[:SHOWN]))
        more = " …" if len(missing) > SHOWN else ""
        raise DataError(f"{len(missing)} of {len(files)} posters of {manifest} are missing: {told}{more}")
