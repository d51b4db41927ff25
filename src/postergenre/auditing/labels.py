"""What the labels are like: frequent and rare genres, how many a poster has, which come together."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from postergenre.auditing.subject import Subject

EXPECTED = 10
"""Posters that would have to have more genres than any has, before a cap is suspected …"""
EXPECTED_SHARE = 0.01
"""… and so large a share of all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cap:
    """A most number of genres that looks like a rule of who made the set, not like the films."""

    most: int
    """No poster has more genres."""
    share: float
    """Of the posters have that many."""
    expected: float
    """Posters that would have one more if the counts went on as they do; infinite where nobody has one less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """What was found out about the labels of the posters; G genres."""

    counts: dict[str, int]
    """Posters of each genre, in the order of the vocabulary."""
    cardinalities: dict[int, int]
    """Posters with 0, 1, 2 … genres."""
    mean: float
    """Genres a poster, of those that have any."""
    num_sets: int
    """Different sets of genres."""
    together: npt.NDArray[np.int64]
    """``(G,G)`` posters with both genres; on the diagonal, with the one."""
    cap: Cap | None
    nameless: list[int]
    """Places of the posters without a genre."""
    alike: list[list[str]]
    """Genres whose names differ only in case, blanks or signs."""


def count_labels(subject: Subject) -> Labels:
    """Return what there is to say about the labels of all posters, whether their pictures are good or not."""
    manifest = subject.manifest
    marks = (subject.posters.targets.numpy() > 0).astype(np.int64)  # (N, G)
    sizes = Counter(len(set(labels)) for labels in manifest.labels)
    labelled = marks.sum(axis=1) > 0
    return Labels(
        counts=dict(zip(manifest.genres, marks.sum(axis=0).tolist(), strict=True)),
        cardinalities={size: sizes[size] for size in range(max(sizes) + 1)},
        mean=float(marks[labelled].sum(axis=1).mean()) if labelled.any() else 0.0,
        num_sets=len({frozenset(labels) for labels in manifest.labels if labels}),
        together=marks.T @ marks,
        cap=suspected_cap(sizes),
        nameless=np.flatnonzero(~labelled).tolist(),
        alike=_alike(manifest.genres),
    )


def suspected_cap(sizes: Counter[int]) -> Cap | None:
    """Return the number of genres at which a set seems to have been cut off; None where it fades out by itself.

    Were the number of genres of a poster Poisson, n(K + 1) would be about n(K)² / n(K - 1) · K / (K + 1): that many
    posters are to be missed beyond the last K before it is suspected. Most real counts fall off faster than that, but
    not to nothing at once.

    Args:
        sizes: How many posters have so many genres.
    """
    total = sum(count for size, count in sizes.items() if size)
    most = max((size for size, count in sizes.items() if count and size), default=0)
    if most < 2:
        return None  # one genre each is a choice, not a cut
    last, before = sizes[most], sizes[most - 1]
    expected = last**2 / before * most / (most + 1) if before else float("inf")
    if expected < max(EXPECTED, EXPECTED_SHARE * total) or last < EXPECTED:
        return None
    return Cap(most=most, share=last / total, expected=expected)


def _alike(genres: tuple[str, ...]) -> list[list[str]]:
    spelt: dict[str, list[str]] = defaultdict(list)
    for genre in genres:
        spelt[re.sub(r"[\W_]+", "", genre.casefold())].append(genre)
    return [names for key, names in spelt.items() if key and len(names) > 1]
