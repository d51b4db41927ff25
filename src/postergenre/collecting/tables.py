"""Posters that a CSV names, in whatever way it does."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from postergenre.collecting.config import ColumnsConfig
from postergenre.collecting.titles import Listing, Skip, Title, file_name, parse_genres, tidy
from postergenre.errors import DataError, brief_list
from postergenre.web import is_address

IMAGE = (
    "image", "poster", "poster_url", "poster_path", "poster_link", "image_url", "img_url", "url", "path", "file",
    "filename",
)  # fmt: skip
GENRES = ("genres", "genre", "genre_names", "listed_in")
ID = ("id", "imdb_id", "imdbid", "tconst", "tmdb_id", "movieid", "movie_id")
ONES, ZEROS = ("1", "1.0", "true", "yes"), ("0", "0.0", "false", "no", "")
Rows = list[dict[str, str]]


def read_table(path: Path) -> tuple[list[str], Rows]:
    """Return the columns of a CSV and its rows, separated by ``,``, ``;`` or a tab.

    Raises:
        DataError: It cannot be read.
    """
    if not path.is_file():
        raise DataError(f"no CSV at {path}")
    shorter = csv.field_size_limit(1 << 24)  # plots of films are long
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            begin = file.readline()
            file.seek(0)
            table = csv.reader(file, delimiter=max(",;\t", key=begin.count), strict=True)
            header = [name.strip() for name in next(table, [])]
            rows = [dict(zip(header, (cell.strip() for cell in row), strict=False)) for row in table if any(row)]
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise DataError(f"cannot read {path} as a UTF-8 CSV: {error}") from None
    finally:
        csv.field_size_limit(shorter)
    if not rows or len(set(header)) < len(header):
        raise DataError(f"{path} has {'a column twice' if rows else 'no row below its header'}")
    return header, [{name: row.get(name, "") for name in header} for row in rows]


def listing(path: Path, columns: ColumnsConfig, *, name: str) -> Listing:
    """Return the posters of any CSV.

    Rows of one id and one picture are one title with the genres of all of them.

    Args:
        path: The CSV.
        columns: Which of its columns say what.
        name: Of the set.

    Raises:
        DataError: It cannot be read, or has no such columns.
    """
    header, rows = read_table(path)
    image = _column(columns.image, IMAGE, header, path, "columns.image")
    assert image
    known = _column(columns.id, ID, header, path, "columns.id", needed=False)
    onehot, notes = list(columns.onehot), []
    genres = None
    if not onehot:
        genres = _column(columns.genres, GENRES, header, path, "columns.genres", needed=False)
    if not genres and not onehot:
        onehot = _onehot(header, rows, but=(image, known))
        notes.append(f"no column of genres: taken for one each are {', '.join(onehot) or 'none'}")
    if missing := [column for column in onehot if column not in header]:
        raise DataError(f"{path} has no column {', '.join(missing)}; it has: {brief_list(header)}")
    if not genres and not onehot:
        raise DataError(
            f"{path} has no column of genres; set columns.genres=NAME or columns.onehot=[…], out of: "
            f"{brief_list(header)}"
        )
    kept = [column for column in header if column not in ("", "Id", image, genres, known, *onehot)]
    items: dict[str, Title | Skip] = {}
    for number, row in enumerate(rows, start=1):
        names = parse_genres(row[genres]) if genres else tidy(c for c in onehot if row[c].lower() in ONES)
        picture = _place(row[image], path)
        own = row[known] if known else ""
        title = file_name(own or f"{name}-{row[image]}")
        there = items.get(title)
        if isinstance(there, Title) and there.picture == picture:
            there.genres = list(dict.fromkeys([*there.genres, *names]))
        elif there is not None and picture:
            items[f"{title} {number}"] = Skip(
                id=title, picture=picture, reason="has an id that another row has with another picture"
            )
        elif not picture or not names:
            told = "names no genre" if picture else "names no picture"
            items[title if picture else f"{title} {number}"] = Skip(
                id=title, picture=picture, reason=f"row {number} {told}"
            )
        else:
            items[title] = Title(id=title, picture=picture, genres=names, columns={c: row[c] for c in kept})
    return Listing(items=iter(items.values()), total=len(items), notes=notes)


def _column(
    asked: str | None, usual: Sequence[str], header: Sequence[str], path: Path, setting: str, *, needed: bool = True
) -> str | None:
    if asked:
        if asked in header:
            return asked
    elif found := [name for known in usual for name in header if name.lower().replace(" ", "_") == known]:
        return found[0]
    elif not needed:
        return None
    raise DataError(
        f"{path} has no column {asked or ', '.join(usual[:4])}; set {setting}=NAME, one of: {brief_list(header)}"
    )


def _onehot(header: Sequence[str], rows: Rows, *, but: Sequence[str | None]) -> list[str]:
    """Return the columns that hold nothing but yes and no, and yes at least once."""

    def marks(column: str) -> bool:
        cells = {row[column].lower() for row in rows}
        return cells <= {*ONES, *ZEROS} and bool(cells & {*ONES})

    return [column for column in header if column not in but and marks(column)]


def _place(cell: str, table: Path) -> str:
    return cell if not cell or is_address(cell) else os.path.join(table.parent, os.path.expanduser(cell))
