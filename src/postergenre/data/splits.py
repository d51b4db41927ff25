"""Who is in which split: the same on every machine, and never the same art on two sides."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold, MultilabelStratifiedShuffleSplit
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import train_test_split

from postergenre.errors import DataError

NUM_FOLDS = 5
SEED = 0
NEAR = 15
"""Perceptual hashes of 256 bits closer than this many bits or as close show the same art. On the original posters the
two true pairs lie at 0 and 10, the next pair (two posters of one series) at 60."""


def duplicate_groups(hashes: Sequence[str]) -> npt.NDArray[np.intp]:
    """Return ``(N,)`` group numbers; posters that show the same art share one.

    Of two hashes at most 15 bits apart, one of the eight words of 32 bits differs in one bit at most, so that three of
    its four bytes agree: only posters that share three such bytes are compared. By chance few do (158 of the 26 million
    pairs of the original posters), and the time grows with the number of posters, not of pairs.

    Args:
        hashes: Perceptual hash of each poster, 256 bits as hex text.
    """
    if not hashes:
        return np.empty(0, np.intp)
    distinct, member = np.unique(np.array(hashes, dtype=bytes), return_inverse=True)
    codes = np.frombuffer(bytes.fromhex(distinct.tobytes().decode()), np.uint64).reshape(len(distinct), -1)
    words = codes.view(np.uint32)  # (M, 8)
    assert 2 * words.shape[1] > NEAR
    found = [
        pairs
        for word in words.T
        for byte in range(4)
        for pairs in _near_pairs(codes, word & ~np.uint32(255 << 8 * byte))
    ]
    left, right = np.concatenate([np.empty((2, 0), np.intp), *found], axis=1)
    links = coo_array((np.ones(len(left)), (left, right)), shape=(len(distinct), len(distinct)))
    _, component = connected_components(links, directed=False)
    groups: npt.NDArray[np.intp] = component[member].astype(np.intp)
    return groups


def _near_pairs(codes: npt.NDArray[np.uint64], keys: npt.NDArray[np.uint32]) -> Iterator[npt.NDArray[np.intp]]:
    """Yield ``(2,P)`` the places of ``codes (M,4)`` that share one of ``keys (M,)`` and lie at most NEAR bits apart."""
    order = np.argsort(keys)
    ranked = keys[order]
    place = np.arange(len(keys))
    for distance in range(1, len(keys)):  # equal keys lie side by side: each is held against those that follow it
        place = place[place + distance < len(keys)]
        place = place[ranked[place] == ranked[place + distance]]
        if not place.size:
            return
        left, right = order[place], order[place + distance]
        near = np.bitwise_count(codes[left] ^ codes[right]).sum(axis=1) <= NEAR
        yield np.stack([left[near], right[near]])


def stratified_split(
    ids: Sequence[str], targets: npt.NDArray[np.float32], groups: npt.NDArray[np.intp], *, fold: int = 0
) -> list[str]:
    """Return each poster's split: ``test`` is one of five folds, ``val`` an eighth of the rest (70 / 10 / 20 %).

    Iterative stratification (Sechidis et al., "On the stratification of multi-label data", 2011) over groups, seed 0,
    after sorting by id, so that neither the machine nor the order of the rows matters.

    Args:
        ids: Names of the N posters.
        targets: ``(N,G)``, 1 where a genre applies.
        groups: ``(N,)``, posters with one number stay on one side.
        fold: Which of the five folds is the test split; 0 is the fixed split of everyday work.

    Raises:
        DataError: There are too few posters to split.
    """
    order = np.argsort(np.array(ids))
    _, first, member = np.unique(groups[order], return_index=True, return_inverse=True)
    units = np.argsort(np.argsort(first))[member]  # groups numbered by their first poster in the order of ids
    labels = np.zeros((len(first), targets.shape[1]), dtype=int)
    np.maximum.at(labels, units, targets[order].astype(int))
    if len(labels) < 2 * NUM_FOLDS:
        raise DataError(
            f"{len(labels)} different posters are too few to split in train, val and test; have at least "
            f"{2 * NUM_FOLDS}"
        )
    if labels.shape[1] == 1:  # the stratification takes several genres: here, having the one and not having it
        labels = np.hstack([labels, 1 - labels])
    side = np.full(len(labels), "train", dtype=object)
    folds = MultilabelStratifiedKFold(n_splits=NUM_FOLDS, shuffle=True, random_state=SEED)
    rest, test = list(folds.split(labels, labels))[fold]
    side[test] = "test"
    inner = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=1 / 8, random_state=SEED)
    _, val = next(inner.split(labels[rest], labels[rest]))
    side[rest[val]] = "val"
    splits = np.empty(len(ids), dtype=object)
    splits[order] = side[units]
    return [str(split) for split in splits]


def original_split(rows: Sequence[Sequence[int]]) -> list[str]:
    """Return the split of the project's source: a random fifth of the CSV's rows is ``val``, and nothing is ``test``.

    The source shuffled rows, repeats included, so that some posters came to lie on both sides. Here such a poster
    counts as ``val`` only.

    Args:
        rows: The rows of the CSV that hold each poster.
    """
    in_val = _original_val(rows)
    return ["val" if any(row in in_val for row in held) else "train" for held in rows]


def on_both_sides(rows: Sequence[Sequence[int]]) -> list[int]:
    """Return the places of the posters that have rows on both sides of the source's own split; see above."""
    in_val = _original_val(rows)
    return [place for place, held in enumerate(rows) if len({row in in_val for row in held}) > 1]


def _original_val(rows: Sequence[Sequence[int]]) -> set[int]:
    """Return the rows of the validation side."""
    num_rows = 1 + max(row for held in rows for row in held)
    _, val = train_test_split(np.arange(num_rows), test_size=0.2, random_state=100)
    return set(val.tolist())
