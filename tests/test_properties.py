"""What holds whatever comes: inputs are drawn by hypothesis, the same ones in every run (see ``conftest``)."""

import csv
import io
import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from torch import Tensor

from corpus.formats import of_mode, turned
from postergenre.calibration import calibrate, fit_calibration, fit_thresholds
from postergenre.data.manifest import SPLITS, Defects, read_manifest
from postergenre.data.splits import NUM_FOLDS, duplicate_groups, stratified_split
from postergenre.errors import UNPRINTABLE, printable
from postergenre.genres import GenreMapping, Genres
from postergenre.losses import LOSSES, LossConfig, build_loss
from postergenre.metrics import (
    random_average_precision,
    rankings,
    score,
    stand_together,
    weighted_average_precision,
)  # fmt: skip
from postergenre.preprocess import RESIZES, Preprocess

# ----------------------------------------------------------------------------------------------------------- pictures

preprocesses = st.builds(
    Preprocess, height=st.integers(8, 40), width=st.integers(8, 40), resize=st.sampled_from(RESIZES)
)
sizes = st.tuples(st.integers(1, 60), st.integers(1, 60)) | st.sampled_from([(1, 500), (500, 1), (3, 90)])
MODES = ("1", "L", "LA", "P", "PA", "I", "I;16", "I;16B", "F", "RGB", "RGBX", "RGBA", "CMYK", "YCbCr", "LAB")


def noise(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def apart(one: Tensor, other: Tensor) -> int:
    return int((one.int() - other.int()).abs().max())


@given(preprocesses, sizes, st.sampled_from(MODES), st.integers(0, 99))
def test_a_picture_of_any_mode_becomes_what_its_colours_become(
    preprocess: Preprocess, size: tuple[int, int], mode: str, seed: int
) -> None:
    picture, shown, slack = of_mode(mode, np.random.default_rng(seed), *size)
    image = preprocess(picture)
    assert (image.shape, image.dtype) == ((3, preprocess.height, preprocess.width), torch.uint8)
    assert image.is_contiguous()
    assert apart(image, preprocess(Image.fromarray(shown))) <= slack


@given(preprocesses, sizes, st.tuples(*[st.integers(1, 255)] * 3))
@example(Preprocess(height=8, width=40, resize="letterbox"), (1, 500), (9, 9, 9))
def test_one_colour_stays_one_colour_and_a_letterbox_keeps_the_shape(
    preprocess: Preprocess, size: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    image = preprocess(Image.new("RGB", size, colour))
    inside = (image != 0).all(dim=0)
    assert image[:, inside].unique(dim=1).flatten().tolist() == list(colour)
    if preprocess.resize != "letterbox":
        assert bool(inside.all())
        return
    rows, columns = (int(inside.any(dim=dim).sum()) for dim in (1, 0))
    assert int(inside.sum()) == rows * columns  # one rectangle
    assert preprocess.height == rows or preprocess.width == columns  # that touches two edges
    exact = min(preprocess.width / size[0], preprocess.height / size[1])
    assert abs(columns - max(size[0] * exact, 1)) <= 0.5 + 1e-6
    assert abs(rows - max(size[1] * exact, 1)) <= 0.5 + 1e-6


@given(preprocesses, sizes, st.integers(1, 8), st.integers(0, 99))
def test_a_turned_picture_is_read_as_the_upright_one(
    preprocess: Preprocess, size: tuple[int, int], orientation: int, seed: int
) -> None:
    stored = noise(seed, *size)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(stored).save(file, "PNG", exif=exif)
    upright = preprocess(Image.fromarray(turned(stored, orientation)))
    assert torch.equal(preprocess.read(file.getvalue()), upright)


@given(preprocesses, sizes, st.integers(0, 99))
def test_rows_and_columns_are_treated_alike(preprocess: Preprocess, size: tuple[int, int], seed: int) -> None:
    pixels = noise(seed, *size)
    across = Preprocess(height=preprocess.width, width=preprocess.height, resize=preprocess.resize)
    transposed = across(Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 0, 2))))
    # Rows and columns are scaled one after the other, with a rounding between.
    assert apart(transposed.transpose(1, 2), preprocess(Image.fromarray(pixels))) <= 1


@given(preprocesses, st.integers(40, 120), st.integers(40, 120))
def test_a_jpeg_decoded_at_a_part_of_its_size_fills_the_same_place(
    preprocess: Preprocess, height: int, width: int
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (200, 200, 200)).save(file, "JPEG")
    assert apart(preprocess.read(file.getvalue()), preprocess(Image.open(file))) <= 1


@given(preprocesses, sizes)
def test_maps_that_are_laid_back_cover_what_was_seen_and_nothing_else(
    preprocess: Preprocess, size: tuple[int, int]
) -> None:
    back = preprocess.laid_back(torch.ones(2, preprocess.height, preprocess.width), *size)
    assert back.shape == (2, *size)
    seen = back[0] != 0
    assert torch.allclose(back[:, seen], torch.ones(1))
    assert bool(seen.all()) or preprocess.resize == "crop"
    rows, columns = (int(seen.any(dim=dim).sum()) for dim in (1, 0))
    assert int(seen.sum()) == rows * columns
    assert rows == size[0] or columns == size[1]  # a crop cuts one side only


# ---------------------------------------------------------------------------------------------------------------- CSV

letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
ids = st.text(letters, min_size=1, max_size=12).filter(str.strip)
names = (
    st.text(letters, min_size=1, max_size=12)
    .map(str.strip)
    .filter(lambda name: name and not UNPRINTABLE.search(name) and name not in ("Id", "Genre", "split"))
)
vocabularies = st.lists(names, min_size=1, max_size=5, unique=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv")


@pytest.mark.slow
@given(vocabularies, st.lists(ids, min_size=1, max_size=8, unique=True), st.data())
def test_a_csv_of_any_names_is_read_as_it_was_written(
    folder: Path, vocabulary: list[str], posters: list[str], data: st.DataObject
) -> None:
    original = data.draw(st.booleans(), label="original")
    if not original:
        vocabulary = [name for name in vocabulary if not set(name) & set("|,")]
        assume(vocabulary)
    labels = [data.draw(st.lists(st.sampled_from(vocabulary), min_size=1, unique=True)) for _ in posters]
    splits = [data.draw(st.sampled_from(SPLITS)) for _ in posters]
    marked = original and data.draw(st.booleans(), label="marked")
    path = folder / "train.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        # "\r" is no end of a line here, and Python's writer would leave it without quotes.
        table = csv.writer(file, quoting=csv.QUOTE_ALL)
        columns = vocabulary if marked else []
        table.writerow([*(("Id", "Genre") if original else ("image", "genres")), *columns, "split"])
        for poster, held, split in zip(posters, labels, splits, strict=True):
            text = str(held) if original else "|".join(held)
            table.writerow([poster, text, *(int(name in held) for name in columns), split])
    defects = Defects()
    manifest = read_manifest(path, images=folder, ignore=(), defects=defects)
    assert (manifest.ids, manifest.splits, defects.problems) == (posters, splits, [])
    assert manifest.labels == [tuple(held) for held in labels]
    assert list(manifest.genres) == (vocabulary if marked else sorted({name for held in labels for name in held}))
    assert manifest.num_repeats == 0
    assert manifest.files == [str(folder / f"{poster}.jpg" if original else folder / poster) for poster in posters]


@given(st.text())
@example("a\nb\x1b[31m\u2028\ud800.jpg")
def test_any_text_is_told_on_one_line_that_can_be_written(text: str) -> None:
    told = printable(text)
    assert len(told.splitlines()) <= 1
    assert told.encode().decode() == told
    assert not any(ord(letter) < 32 for letter in told)
    assert printable(told) == told
    if text.isprintable():
        assert told == text


# ------------------------------------------------------------------------------------------------------------- genres


@given(vocabularies, st.data())
def test_a_target_names_the_genres_that_made_it(vocabulary: list[str], data: st.DataObject) -> None:
    held = data.draw(st.lists(st.sampled_from(vocabulary), unique=True))
    genres = Genres(vocabulary)
    assert genres.decode(genres.encode(held)) == [name for name in vocabulary if name in held]


@given(st.data())
def test_a_poster_has_genres_of_the_vocabulary_whatever_becomes_of_its_names(data: st.DataObject) -> None:
    known = list("ABCDEF")
    some = st.lists(st.sampled_from(known), unique=True)
    drop = data.draw(some)
    rename = data.draw(
        st.dictionaries(
            st.sampled_from([name for name in known if name not in drop] or ["Z"]),
            st.sampled_from("ABXY") | st.lists(st.sampled_from("ABXY"), min_size=1, max_size=3),
        )
    )
    derive = data.draw(
        st.dictionaries(st.sampled_from("VW"), st.lists(st.sampled_from("ABCX"), min_size=2, unique=True), max_size=2)
    )
    replace = data.draw(st.lists(st.sampled_from(sorted(derive)), unique=True)) if derive else []
    mapping = GenreMapping(drop=drop, rename=rename, derive=derive, replace=replace, unused="ignore")
    vocabulary = mapping.vocabulary_of(known)
    held = data.draw(some)
    genres = mapping.genres_of(held)
    assert len(set(genres)) == len(genres)
    assert set(genres) <= set(vocabulary)
    assert set(mapping.genres_of(held[::-1])) == set(genres)
    assert len(set(vocabulary)) == len(vocabulary)
    for whole, parts in derive.items():  # a whole is there exactly where all its parts are
        became = {genre for name in held for genre in mapping.became(name)}
        assert (whole in genres) == (set(parts) <= became)
        if whole in genres and whole in replace:
            assert not set(parts) & set(genres)


# ------------------------------------------------------------------------------------------------------------- splits


@pytest.mark.slow
@given(st.integers(10, 40), st.integers(1, 4), st.integers(0, 999), st.floats(0, 1))
def test_whatever_the_posters_no_art_is_on_two_sides_and_the_folds_test_each_once(
    num_groups: int, num_genres: int, seed: int, share: float
) -> None:
    random = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(num_groups), random.integers(0, num_groups, int(random.integers(0, 20)))])
    random.shuffle(groups)
    targets = (random.random((len(groups), num_genres)) < share).astype(np.float32)  # none, all, and what is between
    names = [f"p{number:03}" for number in random.permutation(len(groups))]
    tested = np.zeros(len(groups), int)
    for fold in range(NUM_FOLDS):
        sides = np.array(stratified_split(names, targets, groups, fold=fold))
        assert set(sides) == {"train", "val", "test"}
        for group in range(num_groups):
            assert len(set(sides[groups == group])) == 1
        tested += sides == "test"
        order = random.permutation(len(groups))  # neither rows nor numbers of groups matter
        renamed = random.permutation(num_groups)[groups]
        again = stratified_split([names[i] for i in order], targets[order], renamed[order], fold=fold)
        assert again == sides[order].tolist()
    assert (tested == 1).all()


@given(st.lists(st.integers(0, 2**256 - 1), min_size=1, max_size=12), st.data())
def test_near_hashes_share_a_group_wherever_they_stand(hashes: list[int], data: st.DataObject) -> None:
    flips = data.draw(st.lists(st.integers(0, 255), max_size=15, unique=True))
    near = hashes[0]
    for bit in flips:
        near ^= 1 << bit
    told = [f"{code:064x}" for code in [*hashes, near]]
    order = data.draw(st.permutations(range(len(told))))
    groups = duplicate_groups(told)
    assert groups[0] == groups[-1]
    again = duplicate_groups([told[place] for place in order])
    same = groups[:, None] == groups[None, :]
    assert np.array_equal(again[:, None] == again[None, :], same[np.ix_(order, order)])


# ------------------------------------------------------------------------------------------------------------ metrics


@st.composite
def answers(draw: st.DrawFn, *, most: int = 14) -> tuple[Tensor, Tensor]:
    """Logits ``(N,G)``, many of them equal, and targets ``(N,G)`` of any kind: genres of no poster, of every one."""
    num_posters, num_genres = draw(st.integers(1, most)), draw(st.integers(1, 5))
    count = num_posters * num_genres
    steps = draw(st.lists(st.integers(-6, 6), min_size=count, max_size=count))
    marks = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    shape = (num_posters, num_genres)
    return torch.tensor(steps).reshape(shape) / 2, torch.tensor(marks).float().reshape(shape)


def all_scores(logits: Tensor, targets: Tensor, **settings: Any) -> dict[str, Tensor]:
    num_genres = targets.shape[1]
    priors = torch.linspace(0.1, 0.9, num_genres)
    return score(logits, targets, priors=priors, headline=torch.ones(num_genres, dtype=torch.bool), **settings)


@given(answers(), st.randoms(use_true_random=False))
def test_scores_do_not_depend_on_the_order_of_the_posters(answered: tuple[Tensor, Tensor], random: Any) -> None:
    logits, targets = answered
    order = list(range(len(logits)))
    random.shuffle(order)
    thresholds = torch.linspace(0.2, 0.8, targets.shape[1])
    one = all_scores(logits, targets, thresholds=thresholds, raw=logits * 2)
    other = all_scores(logits[order], targets[order], thresholds=thresholds, raw=logits[order] * 2)
    for name, value in one.items():
        assert torch.allclose(value, other[name], equal_nan=True, atol=1e-6), name


@given(answers())
def test_rankings_are_scikit_learns_ties_and_all(answered: tuple[Tensor, Tensor]) -> None:
    logits, targets = answered
    precisions, aurocs = rankings(logits, targets)
    for genre in range(targets.shape[1]):
        truth, answer = targets[:, genre].numpy(), logits[:, genre].numpy()
        if not truth.any():
            assert math.isnan(precisions[genre])
            assert math.isnan(aurocs[genre])
            continue
        assert float(precisions[genre]) == pytest.approx(average_precision_score(truth, answer), abs=1e-6)
        if truth.all():
            assert math.isnan(aurocs[genre])
        else:
            assert float(aurocs[genre]) == pytest.approx(roc_auc_score(truth, answer), abs=1e-6)


@given(answers(), st.integers(-20, 20))
def test_rankings_see_the_order_of_answers_only(answered: tuple[Tensor, Tensor], power: int) -> None:
    logits, targets = answered
    wanted = torch.stack(rankings(logits, targets))
    for same in (logits * 2.0**power, logits.exp(), logits**3 + logits - 1e4, logits.double() * 1e30):
        assert torch.allclose(torch.stack(rankings(same, targets)), wanted, equal_nan=True)
    _, backwards = rankings(-logits, targets)
    assert torch.allclose(1 - backwards, wanted[1], equal_nan=True, atol=1e-6)


@given(answers(), st.data())
def test_a_poster_of_weight_k_is_k_posters(answered: tuple[Tensor, Tensor], data: st.DataObject) -> None:
    logits, targets = answered
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(logits), max_size=len(logits)))
    weighted = weighted_average_precision(logits.numpy(), targets.numpy(), np.array([weights]))[0]
    repeated = torch.repeat_interleave(torch.arange(len(logits)), torch.tensor(weights))
    for genre, value in enumerate(weighted):
        truth = targets[repeated, genre].numpy()
        if truth.any():
            assert value == pytest.approx(average_precision_score(truth, logits[repeated, genre].numpy()), abs=1e-6)
        else:
            assert math.isnan(value)


@pytest.mark.slow
@given(answers())
def test_decisions_are_scikit_learns(answered: tuple[Tensor, Tensor]) -> None:
    logits, targets = answered
    assume(bool(targets.any()))
    decided, truth = (logits.sigmoid() >= 0.5).numpy().astype(int), targets.numpy().astype(int)
    scores = all_scores(logits, targets)
    present = truth.any(axis=0)
    by_genre = f1_score(truth.T.ravel(), decided.T.ravel(), zero_division=0)
    assert float(scores["f1_micro"]) == pytest.approx(by_genre, abs=1e-6)
    each = [f1_score(truth[:, g], decided[:, g], zero_division=0) for g in np.flatnonzero(present)]
    assert float(scores["f1_macro"]) == pytest.approx(np.mean(each), abs=1e-6)
    support = truth.sum(axis=0)[present]
    assert float(scores["f1_weighted"]) == pytest.approx(np.average(each, weights=support), abs=1e-6)
    posters = [f1_score(t, d, zero_division=0) for t, d in zip(truth, decided, strict=True)]
    assert float(scores["f1_samples"]) == pytest.approx(np.mean(posters), abs=1e-6)


@given(st.integers(1, 7), st.data())
def test_a_random_order_scores_the_mean_of_all_orders(num_posters: int, data: st.DataObject) -> None:
    positives = data.draw(st.integers(0, num_posters))
    expected = float(random_average_precision(torch.tensor([positives]), num_posters)[0])
    if not positives:
        assert math.isnan(expected)
        return
    ranks = np.arange(num_posters, 0, -1.0)
    every = [
        average_precision_score(np.isin(np.arange(num_posters), places), ranks)
        for places in itertools.combinations(range(num_posters), positives)
    ]
    assert expected == pytest.approx(np.mean(every))


@given(st.lists(st.floats(0, 0.2) | st.just(math.nan), max_size=9), st.floats(0.001, 0.2))
def test_holms_differences_are_those_of_adjusted_p_values(p_values: list[float], level: float) -> None:
    known = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, (len(known) - rank) * p)
        adjusted[place] = largest
    assume(all(abs(value - level) > 1e-9 for value in adjusted))
    assert stand_together(p_values, level=level) == [value <= level for value in adjusted]


# ------------------------------------------------------------------------------------------------------------- losses


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """Logits ``(B,G)`` as large as they get, targets ``(B,G)``, hard or soft, and ``(G,)`` counts of 50 posters."""
    size, num_genres = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    number = st.floats(-30, 30, width=32) | st.sampled_from([-1e4, 1e4, 0.0, -88.0, 88.0])
    goal = st.sampled_from([0.0, 1.0]) | st.floats(0, 1, width=16)
    count = size * num_genres
    logits = torch.tensor(draw(st.lists(number, min_size=count, max_size=count))).reshape(size, num_genres)
    targets = torch.tensor(draw(st.lists(goal, min_size=count, max_size=count))).reshape(size, num_genres)
    counts = torch.tensor(draw(st.lists(st.integers(0, 50), min_size=num_genres, max_size=num_genres)))
    return logits, targets, counts


def loss_of(name: str, counts: Tensor, **settings: float) -> Callable[[Tensor, Tensor], Tensor]:
    return build_loss(LossConfig(name=name, settings=settings), counts=counts, num_posters=50)


@pytest.mark.parametrize("name", sorted(LOSSES))
@given(batches(), st.randoms(use_true_random=False))
def test_a_loss_is_finite_not_below_0_and_blind_to_order(
    name: str, batch: tuple[Tensor, Tensor, Tensor], random: Any
) -> None:
    logits, targets, counts = batch
    logits = logits.double().requires_grad_()
    targets = targets.double()
    value = loss_of(name, counts).double()(logits, targets)
    (slope,) = torch.autograd.grad(value, logits)
    value = value.detach()
    assert math.isfinite(value)
    assert value >= 0
    assert bool(slope.isfinite().all())
    rows, columns = list(range(logits.shape[0])), list(range(logits.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    moved = loss_of(name, counts[columns]).double()(logits.detach()[rows][:, columns], targets[rows][:, columns])
    assert moved.item() == pytest.approx(value.item(), rel=1e-9, abs=1e-12)
    if name != "two_way":  # which sums over the batch before it takes logarithms
        twice = loss_of(name, counts).double()(logits.detach().repeat(2, 1), targets.repeat(2, 1))
        assert twice.item() == pytest.approx(value.item(), rel=1e-9, abs=1e-12)


@given(batches())
def test_what_weighs_nothing_has_no_gradient(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    logits, targets, counts = batch
    targets = targets.round()

    def slope(loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        leaf = logits.clone().requires_grad_()
        return torch.autograd.grad(loss(leaf, targets), leaf)[0]

    everywhere = torch.full_like(counts, 50)
    for loss, unweighted in (
        (loss_of("weighted", everywhere), targets > 0),  # nobody lacks it: positives weigh (N − n)/n = 0
        (loss_of("focal", counts, alpha=0), targets > 0),
        (loss_of("focal", counts, alpha=1), targets == 0),
        (loss_of("asymmetric", counts, margin=0.5), (targets == 0) & (logits < -0.01)),
    ):
        assert not slope(loss)[unweighted].any()


# -------------------------------------------------------------------------------------------------------- calibration


@st.composite
def validations(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Logits ``(N,G)`` and targets ``(N,G)`` of a validation split, however odd."""
    num_posters, num_genres = draw(st.integers(1, 20)), draw(st.integers(1, 3))
    count = num_posters * num_genres
    number = st.floats(-20, 20, width=32) | st.sampled_from([0.0, 3.0, -1000.0, 1000.0])
    logits = torch.tensor(draw(st.lists(number, min_size=count, max_size=count))).reshape(num_posters, num_genres)
    targets = torch.tensor(draw(st.lists(st.booleans(), min_size=count, max_size=count))).float()
    return logits, targets.reshape(num_posters, num_genres)


@given(validations())
def test_any_validation_gives_a_calibration_that_keeps_each_genres_order(split: tuple[Tensor, Tensor]) -> None:
    logits, targets = split
    temperatures, offsets = fit_calibration(logits, targets)
    assert bool((temperatures > 0).all())
    assert bool(temperatures.isfinite().all())
    assert bool(offsets.isfinite().all())
    calibrated = calibrate(logits, temperatures, offsets)
    probabilities = calibrated.sigmoid()
    assert bool(((probabilities >= 0) & (probabilities <= 1)).all())
    order = logits.argsort(dim=0, stable=True)
    assert bool((calibrated.gather(0, order).diff(dim=0) >= 0).all())
    thresholds = fit_thresholds(probabilities, targets)
    assert bool(((thresholds >= 0) & (thresholds <= 1)).all())


@given(validations(), st.randoms(use_true_random=False))
def test_thresholds_depend_on_no_order_and_on_no_other_genre(split: tuple[Tensor, Tensor], random: Any) -> None:
    logits, targets = split
    probabilities = logits.sigmoid()
    rows: Sequence[int] = list(range(len(logits)))
    random.shuffle(rows)
    thresholds = fit_thresholds(probabilities, targets)
    assert torch.allclose(fit_thresholds(probabilities[rows], targets[rows]), thresholds, atol=1e-6)
    alone = [fit_thresholds(probabilities[:, [g]], targets[:, [g]]) for g in range(targets.shape[1])]
    assert torch.equal(torch.cat(alone), thresholds)
