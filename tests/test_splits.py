from collections import Counter
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.model_selection import train_test_split

from postergenre.data.splits import NEAR, NUM_FOLDS, duplicate_groups, on_both_sides, original_split, stratified_split
from postergenre.errors import DataError

Bits = npt.NDArray[np.bool_]


def text(bits: Bits) -> list[str]:
    return [row.tobytes().hex() for row in np.packbits(bits, axis=1)]


def flipped(bits: Bits, number: int, random: np.random.Generator) -> Bits:
    """Return one hash with so many bits changed."""
    changed = bits.copy()
    changed[random.choice(256, number, replace=False)] ^= True
    return changed


def partition(groups: npt.NDArray[np.intp]) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(groups == group).tolist()) for group in np.unique(groups)}


def brute_force(bits: Bits) -> set[frozenset[int]]:
    """Return the connected components under 'at most NEAR bits apart', comparing every pair."""
    groups = np.arange(len(bits))
    for i, j in combinations(range(len(bits)), 2):
        if (bits[i] != bits[j]).sum() <= NEAR:
            groups[groups == groups[j]] = groups[i]
    return partition(groups)


def random_set(num_posters: int, seed: int = 0) -> tuple[list[str], npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    """Return ids, targets over five genres, and groups of which some hold two or three posters."""
    random = np.random.default_rng(seed)
    targets = (random.random((num_posters, 5)) < [0.5, 0.4, 0.2, 0.1, 0.05]).astype(np.float32)
    targets[targets.sum(axis=1) == 0, 0] = 1
    groups = np.arange(num_posters)
    for first in range(0, num_posters // 4, 3):
        groups[-1 - first] = groups[first]
        if first % 2:
            groups[-2 - first] = groups[first]
    return [f"p{i:05}" for i in random.permutation(num_posters)], targets, groups


@pytest.mark.parametrize("seed", range(4))
def test_groups_equal_those_of_comparing_every_pair(seed: int) -> None:
    random = np.random.default_rng(seed)
    bits = random.random((60, 256)) < 0.5
    # Planted copies at every distance around the limit, chains and exact copies.
    near = [flipped(bits[i], number, random) for i, number in enumerate([0, 1, 5, 10, 14, 15, 15, 15, 16, 16, 17, 20])]
    chain = [near[3]]
    for _ in range(4):
        chain.append(flipped(chain[-1], 15, random))
    everything = random.permutation(np.array([*bits, *near, *chain]))
    expected = brute_force(everything)
    assert partition(duplicate_groups(text(everything))) == expected
    assert max(map(len, expected)) >= 5
    assert len(expected) > 55


def test_bits_spread_as_evenly_as_can_be_are_still_found() -> None:
    # 15 changed bits can put two into seven of the eight words, in different bytes; the last word must be enough.
    bits = np.zeros((2, 256), dtype=bool)
    bits[1, np.arange(15) * 16 + 3] = True
    assert duplicate_groups(text(bits)).tolist() == [0, 0]
    bits[1, 250] = True
    assert len(set(duplicate_groups(text(bits)).tolist())) == 2


@pytest.mark.parametrize("word", range(8))
@pytest.mark.parametrize("byte", range(4))
def test_any_one_byte_of_any_one_word_may_differ(word: int, byte: int) -> None:
    bits = np.zeros((2, 256), dtype=bool)
    others = [i for i in range(8) if i != word]
    bits[1, [32 * i + 8 * j for i in others for j in (0, 2)]] = True  # 14, and no other word shares three bytes
    bits[1, 32 * word + 8 * byte + 5] = True
    assert duplicate_groups(text(bits)).tolist() == [0, 0]


def test_many_hashes_that_share_bytes_without_being_near_stay_apart() -> None:
    random = np.random.default_rng(0)
    bits = random.random((400, 256)) < 0.5
    bits[:, :96] = False  # three words of all posters are one
    planted = [flipped(bits[i], number, random) for i, number in enumerate([3, 9, 15, 16, 30])]
    everything = np.array([*bits, *planted])
    assert partition(duplicate_groups(text(everything))) == brute_force(everything)


def test_many_equal_hashes_are_one_group() -> None:
    bits = np.vstack([np.ones((5000, 256), dtype=bool), np.zeros((1, 256), dtype=bool)])
    assert sorted(Counter(duplicate_groups(text(bits)).tolist()).values()) == [1, 5000]


def test_no_posters_make_no_groups() -> None:
    assert duplicate_groups([]).shape == (0,)


def test_a_fixed_split_is_about_70_10_20_in_all_and_in_each_genre() -> None:
    ids, targets, _ = random_set(1000)
    splits = np.array(stratified_split(ids, targets, np.arange(1000)))
    for posters in (np.ones(1000, dtype=bool), *(targets.T > 0)):
        shares = {name: (splits[posters] == name).mean() for name in ("train", "val", "test")}
        assert shares == pytest.approx({"train": 0.7, "val": 0.1, "test": 0.2}, abs=0.03)


@pytest.mark.parametrize("fold", range(NUM_FOLDS))
def test_a_group_is_never_parted(fold: int) -> None:
    ids, targets, groups = random_set(400)
    splits = np.array(stratified_split(ids, targets, groups, fold=fold))
    assert all(len(set(splits[groups == group])) == 1 for group in groups)
    assert set(splits) == {"train", "val", "test"}


def test_the_folds_test_every_poster_exactly_once() -> None:
    ids, targets, groups = random_set(300)
    tested = Counter(
        name
        for fold in range(NUM_FOLDS)
        for name, split in zip(ids, stratified_split(ids, targets, groups, fold=fold), strict=True)
        if split == "test"
    )
    assert sorted(tested) == sorted(ids)
    assert set(tested.values()) == {1}


def test_a_split_depends_neither_on_the_order_of_the_rows_nor_on_the_numbers_of_groups() -> None:
    ids, targets, groups = random_set(300)
    expected = dict(zip(ids, stratified_split(ids, targets, groups), strict=True))
    order = np.random.default_rng(1).permutation(300)
    renumbered = np.random.default_rng(2).permutation(300)[groups]
    shuffled = [ids[i] for i in order]
    assert dict(zip(shuffled, stratified_split(shuffled, targets[order], renumbered[order]), strict=True)) == expected


def test_a_split_leaves_the_global_random_state_alone() -> None:
    ids, targets, groups = random_set(60)
    before = np.random.get_state()[1].tolist()  # noqa: NPY002 the legacy state is what libraries draw from
    stratified_split(ids, targets, groups)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_too_few_posters_are_refused_with_how_many_there_must_be() -> None:
    ids, targets, _ = random_set(20)
    pairs = np.repeat(np.arange(9), 3)[:20]
    with pytest.raises(DataError, match=r"7 different posters are too few .* have at least 10"):
        stratified_split(ids, targets, pairs)


def test_the_original_split_is_the_one_of_scikit_learn() -> None:
    train, val = train_test_split(range(101), test_size=0.2, random_state=100)
    splits = original_split([[row] for row in range(101)])
    assert [row for row in range(101) if splits[row] == "val"] == sorted(val)
    assert [row for row in range(101) if splits[row] == "train"] == sorted(train)
    assert len(val) == 21


def test_a_poster_the_original_split_has_on_both_sides_is_val() -> None:
    train, val = train_test_split(range(50), test_size=0.2, random_state=100)
    both, twice = [train[0], val[0]], [train[1], train[2]]
    others = [[row] for row in range(50) if row not in {*both, *twice}]
    splits = original_split([both, twice, *others])
    assert splits[:2] == ["val", "train"]
    assert splits.count("val") == 10


def test_the_posters_on_both_sides_of_the_original_split_are_found() -> None:
    train, val = train_test_split(range(50), test_size=0.2, random_state=100)
    assert on_both_sides([[train[0], train[1]], [train[2], val[0]], [val[1]], [val[2], val[3]], [*range(50)]]) == [1, 4]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_one_genre_alone_is_stratified_by_having_it(share: float) -> None:
    targets = (np.arange(200) < 200 * share).astype(np.float32)[:, None]
    splits = np.array(stratified_split([f"p{i:03}" for i in range(200)], targets, np.arange(200)))
    for side, wanted in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        held = targets[splits == side]
        assert len(held) == pytest.approx(200 * wanted, abs=1)
        assert held.mean() == pytest.approx(share, abs=0.05)
