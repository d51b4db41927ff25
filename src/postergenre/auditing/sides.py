"""What the splits are like: what leaks from one to another, and whether each genre has its share in all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from postergenre.auditing.duplicates import Alike, across
from postergenre.auditing.subject import Subject
from postergenre.data.manifest import SPLITS
from postergenre.data.splits import on_both_sides, original_split

ENOUGH = 5
"""Rows that the source's own split needs, to have a fifth."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sides:
    """The splits in use, and what the source's own random split does with these rows."""

    counts: dict[str, int]
    """Posters in each split that has any."""
    genres: dict[str, dict[str, int]]
    """For each genre, its posters in each of those splits."""
    deviations: dict[str, float]
    """How far, on average over headline genres, a genre's share in a split is from its share of all: 0.1 is 10 %."""
    absent: dict[str, list[str]]
    """Genres without a poster in a split, by split."""
    leaks: list[Alike]
    """Same art in several splits in use."""
    straddling: list[int]
    """Places of the posters with rows on both sides of the source's split."""
    original_leaks: list[Alike]
    """Same art under several ids on both sides of the source's split."""


def look_at_splits(subject: Subject, groups: list[Alike], *, min_positives: int) -> Sides:
    """Return what there is to say about the splits."""
    posters, splits, rows = subject.posters, subject.splits, subject.manifest.rows
    used = set(posters.kept)
    places = {name: [i for i in posters.kept if splits and splits[i] == name] for name in SPLITS}
    places = {name: held for name, held in places.items() if held}
    targets = posters.targets.numpy()
    totals = targets[posters.kept].sum(axis=0)
    counts = {name: targets[held].sum(axis=0) for name, held in places.items()}
    genres = list(subject.manifest.genres)
    enough = 1 + max((row for held in rows for row in held), default=-1) >= ENOUGH
    return Sides(
        counts={name: len(held) for name, held in places.items()},
        genres={genre: {name: int(counts[name][i]) for name in places} for i, genre in enumerate(genres)},
        deviations={
            name: _deviation(counts[name] / len(held), totals / len(posters.kept), totals >= min_positives)
            for name, held in places.items()
        },
        absent={
            name: [genre for i, genre in enumerate(genres) if totals[i] and not counts[name][i]] for name in places
        },
        leaks=across(groups, splits, used) if splits else [],
        straddling=on_both_sides(rows) if enough else [],
        original_leaks=across(groups, original_split(rows), used) if enough else [],
    )


def _deviation(shares: Sequence[float], overall: Sequence[float], counted: Sequence[bool]) -> float:
    own, whole = np.asarray(shares)[counted], np.asarray(overall)[counted]
    return float(np.mean(np.abs(own - whole) / whole)) if own.size else float("nan")
