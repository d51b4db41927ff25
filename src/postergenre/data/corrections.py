"""What a user takes out of a poster set, or says better than its CSV: ``data.exclude`` and ``data.relabel``."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd

from postergenre.data.manifest import Manifest, Problem, refuse
from postergenre.data.table import LINE, read_table
from postergenre.errors import DataError, brief_list

NAMES = ("id", "Id", "image")
"""What the column of ids may be called: as in ``suspects.csv``, or as in a poster CSV."""
MARKS = {"0": False, "1": True}


@dataclass(frozen=True, kw_only=True, slots=True)
class Corrections:
    """Posters to leave out, and genres to give or take."""

    excluded: tuple[str, ...] = ()
    """Ids, in the order of the file."""
    relabelled: tuple[tuple[str, str, bool], ...] = ()
    """Id, genre, whether the poster is to have it; in the order of the file."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """The files they were read from, under ``exclude`` and ``relabel``: for who wants to know, and nothing else."""

    def __bool__(self) -> bool:
        return bool(self.excluded or self.relabelled)

    @property
    def digest(self) -> str:
        """What tells these corrections from others, wherever they were read; empty where there are none."""
        plain = self.to_plain()
        return sha256(json.dumps([plain["exclude"], plain["relabel"]]).encode()).hexdigest() if self else ""

    def labels(self, manifest: Manifest) -> list[tuple[str, ...]]:
        """Return the genres of each poster of ``manifest`` as they ought to be."""
        changed = dict(zip(manifest.ids, manifest.labels, strict=True)) if self.relabelled else {}
        for name, genre, wanted in self.relabelled:
            others = tuple(given for given in changed[name] if given != genre)
            changed[name] = (*others, genre) if wanted else others
        if not changed:
            return manifest.labels
        before = zip(manifest.ids, manifest.labels, strict=True)
        return [labels if set(changed[name]) == set(labels) else changed[name] for name, labels in before]

    def to_plain(self) -> dict[str, Any]:
        """Return it as lists, text and numbers, for a checkpoint."""
        return {
            "exclude": list(self.excluded),
            "relabel": [[name, genre, int(wanted)] for name, genre, wanted in self.relabelled],
            "sources": dict(self.sources),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Corrections":
        """Return what ``to_plain`` wrote.

        Raises:
            DataError: It did not.
        """
        try:
            return cls(
                excluded=tuple(str(name) for name in plain["exclude"]),
                relabelled=tuple((str(name), str(genre), bool(wanted)) for name, genre, wanted in plain["relabel"]),
                sources=dict(plain["sources"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"corrections that cannot be understood: {error!r}") from None


def read_corrections(manifest: Manifest, *, exclude: Path | None = None, relabel: Path | None = None) -> Corrections:
    """Return what the two files say about the posters of ``manifest``.

    Args:
        manifest: The posters.
        exclude: A CSV with a column of ids (``id``, ``Id`` or ``image``), such as a shortened ``suspects.csv``.
        relabel: A CSV with a column of ids, ``genre`` and ``suggested`` (0 or 1); where it has a column ``given`` (0 or
            1), that has to agree with the poster CSV.

    Raises:
        DataError: A file cannot be used; one message names every problem with row and column.
    """
    return Corrections(
        excluded=tuple(_excluded(exclude, manifest)) if exclude else (),
        relabelled=tuple(_relabelled(relabel, manifest)) if relabel else (),
        sources={name: str(path.absolute()) for name, path in (("exclude", exclude), ("relabel", relabel)) if path},
    )


def check_corrections(corrections: Corrections, manifest: Manifest) -> None:
    """See that every poster and genre is one of ``manifest``.

    Raises:
        DataError: The first that is not.
    """
    known, genres = set(manifest.ids), set(manifest.genres)
    for name in (*corrections.excluded, *(name for name, _, _ in corrections.relabelled)):
        if name not in known:
            raise DataError(f"the corrections name a poster {name!r} that is not there")
    for _, genre, _ in corrections.relabelled:
        if genre not in genres:
            raise DataError(f"the corrections name a genre {genre!r} that is not there")


def _excluded(path: Path, manifest: Manifest) -> list[str]:
    table = _table(path, "exclude")
    column = _ids(path, table, "exclude")
    known = set(manifest.ids)
    refuse(
        path,
        [
            (line, column, f"no poster {name!r}")
            for line, name in zip(table[LINE], table[column], strict=True)
            if name not in known
        ],
    )
    return list(dict.fromkeys(table[column]))


def _relabelled(path: Path, manifest: Manifest) -> Iterator[tuple[str, str, bool]]:
    table = _table(path, "relabel")
    column = _ids(path, table, "relabel")
    if missing := [name for name in ("genre", "suggested") if name not in table.columns]:
        raise DataError(
            f"{path} of data.relabel has no column {', '.join(missing)}; it takes id, genre, suggested (0 or 1) and, "
            "to be checked against the poster CSV, given (0 or 1), as suspects.csv has them"
        )
    given = table["given"].tolist() if "given" in table.columns else [""] * len(table)
    labels = dict(zip(manifest.ids, manifest.labels, strict=True))
    wanted: dict[tuple[str, str], bool] = {}
    problems: list[Problem] = []
    rows = zip(table[LINE], table[column], table["genre"], given, table["suggested"], strict=True)
    for line, name, genre, before, after in rows:
        wrong = list(_wrong(name, genre, before, after, labels=labels, manifest=manifest, column=column))
        if not wrong and wanted.setdefault((name, genre), MARKS[after]) != MARKS[after]:
            wrong = [("suggested", f"{after} for {genre} of {name}, which an earlier row says otherwise")]
        problems += [(line, *problem) for problem in wrong]
    refuse(path, problems)
    return ((name, genre, after) for (name, genre), after in wanted.items() if after != (genre in labels[name]))


def _wrong(
    name: str,
    genre: str,
    before: str,
    after: str,
    *,
    labels: Mapping[str, Sequence[str]],
    manifest: Manifest,
    column: str,
) -> Iterator[tuple[str, str]]:
    if name not in labels:
        yield column, f"no poster {name!r}"
    if genre not in manifest.genres:
        yield "genre", f"no genre {genre!r}; known: {', '.join(manifest.genres)}"
    if after not in MARKS:
        yield "suggested", f"{after!r} is neither 0 nor 1"
    if before not in ("", *MARKS):
        yield "given", f"{before!r} is neither 0 nor 1"
    elif before and name in labels and MARKS[before] != (genre in labels[name]):
        has = "has" if genre in labels[name] else "has not"
        yield "given", f"{before}, but {name} {has} {genre}: made for other labels than these"


def _table(path: Path, setting: str) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"no file at {path}; data.{setting} takes a CSV with a column of ids")
    return read_table(path)


def _ids(path: Path, table: pd.DataFrame, setting: str) -> str:
    column = next((name for name in NAMES if name in table.columns), None)
    if column is None:
        raise DataError(
            f"{path} of data.{setting} has no column {' or '.join(NAMES)}; it has: "
            f"{brief_list(table.columns.drop(LINE))}"
        )
    return column
