"""One set out of several: repeats found by id and by picture, and what they disagree on told."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from postergenre.collecting.shelf import IMAGES
from postergenre.collecting.tables import read_table
from postergenre.collecting.titles import Skip, Title, file_name, tidy
from postergenre.data.manifest import read_manifest
from postergenre.data.scan import scan
from postergenre.data.splits import duplicate_groups
from postergenre.errors import DataError

IMDB = re.compile(r"tt\d{5,}")


@dataclass(kw_only=True, slots=True)
class Merged:
    """What several sets make together."""

    titles: list[Title]
    skips: list[Skip]
    repeats: list[dict[str, str]]
    """A row for each title that was dropped: of what it is a repeat, why, and what either says."""
    notes: list[str]


def merged(tables: Sequence[Path], *, union: bool, cache: Path) -> Merged:
    """Return the titles of several poster CSVs, each once, in their order.

    Of repeats the first is kept; cells that are empty there are filled from the others.

    Args:
        tables: Poster CSVs in either schema, with their pictures.
        union: Whether a title gets the genres of its repeats, too, instead of those of the first alone.
        cache: Folder for what was learnt about pictures.

    Raises:
        DataError: One of them cannot be used.
    """
    titles = [title for table in tables for title in _titles(table)]
    looks = scan([title.picture for title in titles], cache=cache)
    skips = [
        Skip(id=title.id, picture=title.picture, reason=look.error.replace(look.path, "the picture"))
        for title, look in zip(titles, looks, strict=True)
        if look.error
    ]
    whole = [(title, look.hash) for title, look in zip(titles, looks, strict=True) if not look.error]
    if not whole:
        raise DataError("none of the pictures decodes")
    titles = [title for title, _ in whole]
    art = duplicate_groups([bits for _, bits in whole]).tolist()
    groups = _groups(titles, art)
    kept: list[Title] = []
    repeats: list[dict[str, str]] = []
    disagree = 0
    for places in groups:
        first, *others = (titles[place] for place in places)
        before = list(first.genres)
        for other, place in zip(others, places[1:], strict=True):
            same = (
                "id"
                if {*_ids(first)} & {*_ids(other)}
                else "picture"
                if art[place] == art[places[0]]
                else "another repeat"
            )
            agree = set(before) == set(other.genres)
            disagree += not agree
            if union:
                first.genres = list(dict.fromkeys([*first.genres, *other.genres]))
            for column, cell in other.columns.items():
                if column != "split" and not first.columns.get(column):
                    first.columns[column] = cell
            repeats.append({
                "id": other.id, "source": other.columns["source"],
                "kept": first.id, "kept_source": first.columns["source"],
                "same": same, "genres": "|".join(other.genres), "kept_genres": "|".join(before),
                "genres_agree": "yes" if agree else "no", "image": other.picture,
            })  # fmt: skip
        kept.append(first)
    _distinct(kept)
    notes = []
    if repeats:
        rule = "the kept ones have the genres of both" if union else "the genres of the first are kept"
        notes.append(
            f"{len(repeats):,} repeats dropped, {disagree:,} of them with other genres ({rule}): see repeats.csv"
        )
    return Merged(titles=kept, skips=skips, repeats=repeats, notes=notes)


def _titles(table: Path) -> list[Title]:
    """Return the titles of one poster CSV, after every check that training makes of it."""
    manifest = read_manifest(table, images=table.parent / IMAGES, ignore=())
    header, rows = read_table(table)
    original = "Id" in header
    name = table.parent.resolve().name
    columns = [
        c
        for c in header
        if c not in ("Id", "Genre", "image", "genres", "id") and not (original and c in manifest.genres)
    ]
    titles = []
    for place, lines in enumerate(manifest.rows):
        row = rows[lines[0]]
        # A name that no column of ids holds means nothing in another set, unless it is IMDb's.
        stem = Path(manifest.ids[place]).stem
        own = row.get("Id") or row.get("id") or (stem if IMDB.fullmatch(stem) else f"{name}-{manifest.ids[place]}")
        split = manifest.splits[place] if manifest.splits else ""
        titles.append(
            Title(
                id=own,
                picture=manifest.files[place],
                genres=tidy(manifest.labels[place]),
                columns={c: row[c] for c in columns}
                | {"source": row.get("source") or name}
                | ({"split": split} if split else {}),
            )
        )
    return titles


def _groups(titles: Sequence[Title], art: Sequence[int]) -> list[list[int]]:
    """Return the places of titles that share an id or show the same art, directly or through others."""
    nodes: dict[object, list[int]] = defaultdict(list)
    for place, (title, shown) in enumerate(zip(titles, art, strict=True)):
        for key in (*_ids(title), shown):
            nodes[key].append(place)
    left = [places[0] for places in nodes.values() for _ in places]
    right = [place for places in nodes.values() for place in places]
    links = coo_array((np.ones(len(left)), (left, right)), shape=(len(titles), len(titles)))
    groups: dict[int, list[int]] = defaultdict(list)
    for place, group in enumerate(connected_components(links, directed=False)[1].tolist()):
        groups[group].append(place)
    return sorted(groups.values())


def _ids(title: Title) -> list[str]:
    return [name for name in (title.id, title.columns.get("imdb_id", "")) if name]


def _distinct(titles: Sequence[Title]) -> None:
    """Make ids names of files."""
    for title in titles:
        title.id = file_name(title.id)
