"""Which posters are meant: files, folders, globs, addresses, and what a CSV names."""

import csv
import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from postergenre.errors import ConfigError, DataError, brief_list
from postergenre.web import SCHEMES, is_address, scheme

TAKES = (
    "posters takes a picture, a folder, a quoted glob such as 'posters/*.jpg', an http(s) address, a CSV, or a list "
    "[A,B] of those"
)
SCHEMAS = (("Id", "Genre"), ("image", "genres"))
"""Columns of a poster CSV as for training: what names the poster, and what shows that it is such a CSV."""


def find_posters(posters: Any, *, recursive: bool = False, column: str | None = None) -> list[str]:
    """Return the paths and addresses that are meant, in the same order every time.

    A folder and a glob are sorted, a list and a CSV keep their order. What is named twice is there twice. Hidden files
    and folders, whose names begin with a dot, are not looked at.

    Args:
        posters: A picture, a folder, a glob, an http(s) address, a CSV, or a list of those.
        recursive: Look into the folders of a folder, too.
        column: The CSV's column of paths (relative to the CSV's folder) or addresses. The two schemas of a poster CSV
            need none. An empty cell becomes an empty text: rows here are rows there.

    Returns:
        Text, not ``Path``: a tenth of a kilobyte for each of perhaps a million posters.

    Raises:
        ConfigError: It is none of these.
        DataError: One of them names no poster, or the CSV cannot be used.
    """
    return list(each_poster(posters, recursive=recursive, column=column))


def names_of(posters: Any) -> list[str]:
    """Return what ``posters`` names, one or several, as text.

    Raises:
        ConfigError: It is neither a name nor a list of names.
    """
    named = posters if isinstance(posters, list) else [posters]
    if not named or not all(isinstance(name, str | Path) and str(name) for name in named):
        raise ConfigError(f"{TAKES}, not {posters!r}")
    return [str(name) for name in named]


def each_poster(posters: Any, *, recursive: bool = False, column: str | None = None) -> Iterator[str]:
    """Yield what ``find_posters`` returns, one by one: only the names of one folder are in memory at a time.

    Raises:
        ConfigError: As there, at the latest after the last poster.
        DataError: As there.
    """
    named = names_of(posters)
    tables = 0
    for name in named:
        if scheme(name):
            if not is_address(name):
                raise DataError(f"cannot read {name}: posters takes {' and '.join(SCHEMES)} addresses")
            yield name
            continue
        # Unlike Path's own, these take any name: one too long, one that begins with ~ and is no user's.
        place = Path(os.path.expanduser(name))
        if os.path.isfile(place) and place.suffix.lower() == ".csv":
            tables += 1
            yield from _from_csv(place, column)
        elif os.path.isfile(place):
            yield str(place)
        elif os.path.isdir(place):
            yield from _in_folder(place, recursive)
        else:
            matches = [match for match in glob.glob(str(place), recursive=True) if os.path.isfile(match)]
            if not matches:
                raise DataError(f"no file, folder or match for {name}; {TAKES}")
            yield from sorted(matches)
    if column is not None and not tables:
        raise ConfigError(f"column={column} is for posters=FILE.csv, and none of {', '.join(named)} is one")


def _in_folder(folder: Path, recursive: bool) -> Iterator[str]:
    readable = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}

    def unreadable(error: OSError) -> None:
        raise DataError(f"cannot look into {error.filename}: {error.strerror}")

    found = False
    for place, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if recursive and not name.startswith("."))
        for name in sorted(files):
            path = os.path.join(place, name)
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in readable and os.path.isfile(path):
                found = True
                yield path
    if not found:
        hint = "" if recursive else ", and recursive=true looks into its folders"
        if any(folder.glob("[!._]*.parquet")):
            hint = "; Parquet shards of pictures are read by engine=ray"
        raise DataError(f"no picture in the folder {folder}; {TAKES}{hint}")


def _from_csv(table: Path, column: str | None) -> Iterator[str]:
    found = False
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            for cell in _cells(csv.reader(file, strict=True), table, column):
                found = True
                yield cell
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise DataError(f"cannot read {table} as a UTF-8 CSV: {error}") from None
    if not found:
        raise DataError(f"{table} has no row below its header")


def _cells(rows: Iterator[list[str]], table: Path, column: str | None) -> Iterator[str]:
    header = [name.strip() for name in next((row for row in rows if row), [])]
    if column is None:
        column = next(
            (name for name, other in (("Id", "Genre"), ("image", "genres")) if {name, other} <= {*header}), ""
        )
    if column not in header:
        asked = f"no column {column}" if column else "no columns 'Id, Genre' or 'image, genres' as a poster CSV has"
        raise DataError(f"{table} has {asked}; write column=NAME, one of: {brief_list(header)}")
    place = header.index(column)
    original = column == "Id" and "Genre" in header  # ids, whose pictures lie as they do in training
    folder = str(table.parent)
    for row in rows:
        if len(row) > len(header):
            raise DataError(f"a row of {table} has more cells than its header: {', '.join(row)[:80]}; quote its commas")
        cell = row[place].strip() if len(row) > place else ""
        if not row:
            continue  # an empty line
        if not cell or scheme(cell):
            yield cell
        else:
            yield os.path.join(folder, "Images", f"{cell}.jpg") if original else os.path.join(folder, cell)
