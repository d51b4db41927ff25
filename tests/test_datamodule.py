import csv
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.model_selection import train_test_split

from postergenre.augment import Augment
from postergenre.data.datamodule import DataConfig, PosterData
from postergenre.data.dataset import Batch, Draw, Order, PosterDataset, chances
from postergenre.data.pixels import DecodedPosters
from postergenre.data.scan import scan
from postergenre.data.splits import duplicate_groups
from postergenre.errors import ConfigError, DataError, PictureError
from postergenre.preprocess import Preprocess

REAL = Path(__file__).parents[2] / "shared" / "posters"
GENRES = ("Action", "Drama", "N/A", "War")

Rows = list[tuple[str, tuple[str, ...]]]


def art(seed: int, size: tuple[int, int] = (16, 24)) -> Image.Image:
    """Return a picture of random tiles, unlike that of any other seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 16, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)


def poster_rows(number: int) -> Rows:
    draws = random.Random(0)
    names = [genre for genre in GENRES if genre != "N/A"]
    return [(f"p{i:03}", tuple(sorted(draws.sample(names, draws.choice((1, 1, 2)))))) for i in range(number)]


def write_csv(root: Path, rows: Rows) -> None:
    with (root / "train.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["Id", "Genre", *GENRES])
        table.writerows([name, str(list(labels)), *(int(g in labels) for g in GENRES)] for name, labels in rows)


def write_set(root: Path, rows: Rows) -> Path:
    """Write a poster set in the original schema, each poster with art of its own."""
    (root / "Images").mkdir(parents=True)
    for seed, name in enumerate(dict.fromkeys(name for name, _ in rows)):
        art(seed).save(root / "Images" / f"{name}.jpg")
    write_csv(root, rows)
    return root


def poster_data(root: Path, *, augment: Augment | None = None, seed: int = 0, **options: object) -> PosterData:
    settings = {"cache": str(root / "cache"), "workers": 0, "min_positives": 5, "batch_size": 16} | options
    data = PosterData(
        DataConfig(root=str(root), **settings), Preprocess(height=24, width=16), augment=augment, seed=seed
    )
    data.prepare_data()
    data.setup()
    return data


def split_of(data: PosterData) -> dict[str, str]:
    assert data.manifest is not None
    return {data.manifest.ids[i]: split for split, rows in data.rows.items() for i in rows}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_set(tmp_path / "posters", poster_rows(100))


def test_the_fixed_split_is_about_70_10_20_and_the_same_under_any_order_of_rows(root: Path) -> None:
    splits = split_of(poster_data(root))
    assert len(splits) == 100
    counts = Counter(splits.values())
    assert (counts["train"], counts["val"], counts["test"]) == pytest.approx((70, 10, 20), abs=3)
    rows = poster_rows(100)
    random.Random(1).shuffle(rows)
    write_csv(root, rows)
    again = poster_data(root)
    assert split_of(again) == splits
    assert again.fingerprint == poster_data(root).fingerprint


def test_the_fingerprint_is_that_of_posters_labels_and_splits(root: Path) -> None:
    first = poster_data(root)
    assert poster_data(root, fold=1).fingerprint != first.fingerprint
    rows = poster_rows(100)
    write_csv(root, rows[::-1])
    assert poster_data(root).fingerprint == first.fingerprint
    write_csv(root, [*rows[:-1], (rows[-1][0], ("Action", "Drama", "War"))])
    assert poster_data(root).fingerprint != first.fingerprint


def test_the_folds_are_disjoint_and_test_every_poster(root: Path) -> None:
    tested = [{n for n, s in split_of(poster_data(root, fold=fold)).items() if s == "test"} for fold in range(5)]
    assert sum(map(len, tested)) == 100
    assert len(set.union(*tested)) == 100


def test_a_fold_of_posters_that_were_read_before_is_the_fold_of_posters_read_anew(tmp_path: Path) -> None:
    root = write_set(tmp_path, [*poster_rows(60), ("unknown", ("N/A",))])
    first, anew = poster_data(root), poster_data(root, fold=3)
    (root / "train.csv").unlink()
    shared = PosterData(anew.config, anew.preprocess, posters=first.posters)
    shared.setup()
    assert shared.fingerprint == anew.fingerprint != first.fingerprint
    assert (shared.rows, shared.kept, shared.identity) == (anew.rows, anew.kept, anew.identity)
    assert all(torch.equal(shared.targets[split], anew.targets[split]) for split in ("train", "val", "test"))
    assert shared.notes == first.notes == ["1 poster(s) have no genre but N/A: left out"]


@pytest.mark.parametrize("options", [{"fold": fold} for fold in range(5)])
def test_copies_of_a_picture_under_other_ids_always_lie_on_its_side(options: dict[str, int], tmp_path: Path) -> None:
    rows = poster_rows(60)
    copies: Rows = [(f"copy-of-{name}", ("War",)) for name, _ in rows[:10]]
    root = write_set(tmp_path / "posters", rows + copies)
    for seed, (name, _) in enumerate(rows[:10]):
        art(seed, (160, 240)).save(root / "Images" / f"{name}.jpg", quality=95)
        if seed % 2:  # the same bytes
            (root / "Images" / f"copy-of-{name}.jpg").write_bytes((root / "Images" / f"{name}.jpg").read_bytes())
        else:  # smaller and compressed again
            art(seed, (160, 240)).resize((90, 140)).save(root / "Images" / f"copy-of-{name}.jpg", quality=50)
    data = poster_data(root, **options)
    splits = split_of(data)
    assert all(splits[name] == splits[f"copy-of-{name}"] for name, _ in rows[:10])
    assert sorted(Counter(data.groups).values()) == [1] * 50 + [2] * 10


def test_the_original_split_is_that_of_scikit_learn_over_all_rows(tmp_path: Path) -> None:
    rows = poster_rows(100)
    train, val = train_test_split(np.arange(110), test_size=0.2, random_state=100)
    repeats = [rows[i] for i in range(10)]  # rows 100 … 109 repeat rows 0 … 9
    data = poster_data(write_set(tmp_path / "posters", rows + repeats), split="original")
    expected = {name: "val" if i in val or (i < 10 and 100 + i in val) else "train" for i, (name, _) in enumerate(rows)}
    assert split_of(data) == expected
    assert any((i in train) != (100 + i in train) for i in range(10))  # some were on both sides
    assert data.rows["test"] == []
    assert "10 rows repeat an earlier row exactly: dropped" in data.notes


def test_the_column_split_is_that_of_the_csv(tmp_path: Path) -> None:
    root = write_set(tmp_path / "posters", poster_rows(20))
    names = ["train", "validation", "test", "val", "Train"]
    lines = [f"Images/p{i:03}.jpg,War|Drama,{names[i % 5]}\n" for i in range(20)]
    (root / "train.csv").write_text("image,genres,split\n" + "".join(lines))
    data = poster_data(root, split="column")
    assert {name: len(rows) for name, rows in data.rows.items()} == {"train": 8, "val": 8, "test": 4}
    assert split_of(data)["Images/p001.jpg"] == "val"
    assert data.genres == ("Drama", "War")


def test_a_column_split_without_the_column_is_refused(root: Path) -> None:
    with pytest.raises(DataError, match=r"data.split=column, but train.csv has no column 'split'"):
        poster_data(root, split="column")


def test_a_column_split_without_validation_posters_is_refused(tmp_path: Path) -> None:
    root = write_set(tmp_path / "posters", poster_rows(6))
    (root / "train.csv").write_text("image,genres,split\nImages/p000.jpg,War,train\nImages/p001.jpg,War,test\n")
    with pytest.raises(DataError, match=r"no poster in split val of .*train.csv"):
        poster_data(root, split="column", min_positives=1)


def test_na_is_no_target_and_posters_of_nothing_else_are_left_out_with_a_note(tmp_path: Path) -> None:
    rows: Rows = [*poster_rows(57), ("x1", ("N/A",)), ("x2", ("N/A",)), ("x3", ("N/A", "War"))]
    data = poster_data(write_set(tmp_path / "posters", rows))
    assert data.genres == ("Action", "Drama", "War")
    assert data.notes == ["2 poster(s) have no genre but N/A: left out"]
    splits = split_of(data)
    assert len(splits) == 58
    assert "x3" in splits
    assert {"x1", "x2"}.isdisjoint(splits)


@pytest.mark.parametrize("split", ["fixed", "original"])
def test_bad_pictures_stop_the_work_and_are_named(split: str, root: Path) -> None:
    bad = [root / "Images" / f"p{i:03}.jpg" for i in range(12)]
    for path in bad:
        path.write_bytes(b"not a picture")
    with pytest.raises(DataError) as caught:
        poster_data(root, split=split)
    told = str(caught.value)
    assert told.startswith(f"12 picture(s) do not decode: {bad[0]} is not a picture")
    assert [str(path) in told for path in bad] == [True] * 10 + [False] * 2
    assert told.endswith("Mend them, or leave them out with data.on_bad_image=skip")


@pytest.mark.parametrize("split", ["fixed", "original"])
def test_skipped_pictures_are_counted_and_listed(split: str, root: Path, tmp_path: Path) -> None:
    empty, cut = (root / "Images" / f"{name}.jpg" for name in ("p003", "p050"))
    empty.write_bytes(b"")
    cut.write_bytes(cut.read_bytes()[:300])
    data = poster_data(root, on_bad_image="skip", split=split)
    assert data.notes == ["2 picture(s) do not decode: left out, see bad_images.csv"]
    assert len(split_of(data)) == 98
    assert {"p003", "p050"}.isdisjoint(split_of(data))
    data.write_tables(tmp_path)
    with (tmp_path / "bad_images.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["image", "problem"]
    assert [row[0] for row in rows] == [str(empty), str(cut)]
    assert all(path in problem for path, problem in rows)


def test_skipping_every_picture_is_told_as_a_sentence(tmp_path: Path) -> None:
    root = write_set(tmp_path / "posters", poster_rows(12))
    for path in (root / "Images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError):
        poster_data(root, on_bad_image="skip")


def test_the_table_of_splits_lists_every_poster_and_its_group(tmp_path: Path) -> None:
    rows: Rows = [*poster_rows(30), ("unknown", ("N/A",))]
    data = poster_data(write_set(tmp_path / "posters", rows))
    data.write_tables(tmp_path)
    with (tmp_path / "splits.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["id"] for row in table] == [name for name, _ in rows]
    assert {row["id"]: row["split"] for row in table} == {**split_of(data), "unknown": ""}
    assert len({row["group"] for row in table}) == 31
    assert not (tmp_path / "bad_images.csv").exists()


def test_genres_below_the_least_number_of_posters_are_no_headline(tmp_path: Path) -> None:
    rows: Rows = [(f"p{i:03}", ("Action",) if i % 3 else ("Action", "Drama")) for i in range(30)]
    root = write_set(tmp_path / "posters", rows)
    assert poster_data(root, min_positives=10).headline == ["Action", "Drama"]
    assert poster_data(root, min_positives=11).headline == ["Action"]
    with pytest.raises(DataError, match=r"no genre has 31 posters \(the most frequent has 30\); lower"):
        poster_data(root, min_positives=31)


def test_priors_are_shares_of_the_training_posters_alone(root: Path) -> None:
    data = poster_data(root)
    labels = dict(poster_rows(100))
    train = [labels[name] for name, split in split_of(data).items() if split == "train"]
    expected = [sum(genre in names for names in train) / len(train) for genre in data.genres]
    assert data.priors == pytest.approx(expected)


def test_a_missing_folder_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no posters at .*nowhere: .* data.root=FOLDER .* data=demo"):
        poster_data(tmp_path / "nowhere")


def test_nothing_is_written_but_the_cache(root: Path) -> None:
    before = set(root.rglob("*"))
    poster_data(root)
    assert {path.relative_to(root).parts[0] for path in set(root.rglob("*")) - before} == {"cache"}


def test_setting_up_twice_reads_once(root: Path) -> None:
    data = poster_data(root)
    (root / "train.csv").unlink()
    rows, notes = data.rows, list(data.notes)
    data.setup("test")
    assert data.rows is rows
    assert data.notes == notes


def test_validation_batches_come_in_order_with_their_own_targets(root: Path) -> None:
    data = poster_data(root, batch_size=4, augment=Augment(flip=1.0))
    batches = list(data.val_dataloader())
    assert torch.cat([batch.rows for batch in batches]).tolist() == list(range(len(data.rows["val"])))
    assert torch.equal(torch.cat([batch.targets for batch in batches]), data.targets["val"])
    assert batches[0].images.shape == (4, 3, 24, 16)
    assert batches[0].images.dtype == torch.uint8
    with Image.open(data.paths("val")[0]) as first:  # and without augmentation
        assert torch.equal(batches[0].images[0], data.preprocess(first))
    assert data.manifest is not None
    name = data.manifest.ids[data.rows["val"][0]]
    assert data.genres.decode(batches[0].targets[0]) == list(dict(poster_rows(100))[name])


def test_training_batches_are_shuffled_and_augmented_the_same_way_in_every_run(root: Path) -> None:
    def epoch(seed: int, number: int = 0) -> list[Batch]:
        loader = poster_data(root, augment=Augment(flip=0.5, colour=0.3), seed=seed).train_dataloader()
        assert isinstance(loader.sampler, Order)
        loader.sampler.set_epoch(number)
        return list(loader)

    def order(batches: Sequence[Batch]) -> list[int]:
        return torch.cat([batch.rows for batch in batches]).tolist()

    first = epoch(3)
    torch.rand(5)  # the global random state has no say
    again = epoch(3)
    assert order(first) == order(again)
    assert all(torch.equal(one.images, other.images) for one, other in zip(first, again, strict=True))
    assert sorted(order(first)) == list(range(len(order(first))))
    assert order(first) != sorted(order(first))
    assert order(epoch(4)) != order(first) != order(epoch(3, 1))


def test_the_augmentation_of_a_poster_depends_on_seed_epoch_and_row(tmp_path: Path) -> None:
    art(0).save(tmp_path / "a.png")

    def dataset(seed: int) -> PosterDataset:
        source = DecodedPosters([str(tmp_path / "a.png")] * 2, Preprocess(height=24, width=16))
        return PosterDataset([source], [0, 1], torch.eye(2), augment=Augment(colour=0.5), seed=seed)

    draws = [(0, Draw(0, 0)), (1, Draw(0, 0)), (0, Draw(1, 0)), (0, Draw(0, 1))]
    images = [dataset(seed).__getitems__([draw]).images for seed, draw in draws]
    assert len({image.numpy().tobytes() for image in images}) == 4
    assert all(
        torch.equal(dataset(seed).__getitems__([draw]).images, image)
        for (seed, draw), image in zip(draws, images, strict=True)
    )


def test_a_poster_that_breaks_during_training_is_named(root: Path) -> None:
    data = poster_data(root)
    path = data.paths("val")[0]
    path.write_bytes(b"gone bad")
    with pytest.raises(PictureError, match=path.name):
        next(iter(data.val_dataloader()))


def test_an_order_passes_every_row_once_an_epoch() -> None:
    order = Order(20, shuffle=True, seed=5)
    order.set_epoch(2)
    draws = list(order)
    assert len(order) == len(draws) == 20
    assert {draw.epoch for draw in draws} == {2}
    assert sorted(draw.row for draw in draws) == list(range(20))
    assert draws == list(order)
    assert [draw.row for draw in Order(3, shuffle=False)] == [0, 1, 2]


@pytest.mark.parametrize("num_ranks", [2, 3, 7])
def test_several_processes_share_the_order_of_one(num_ranks: int) -> None:
    def drawn(*, shuffle: bool) -> list[list[int]]:
        orders = [Order(20, shuffle=shuffle, seed=5, rank=rank, num_ranks=num_ranks) for rank in range(num_ranks)]
        rows = [[draw.row for draw in order] for order in orders]
        assert {len(own) for own in rows} == {len(orders[0])}  # or one would wait for the others
        return rows

    alone = [draw.row for draw in Order(20, shuffle=True, seed=5)]
    together = [row for step in zip(*drawn(shuffle=True), strict=True) for row in step]
    assert together == alone[: len(together)]
    assert len(together) > 20 - num_ranks
    together = [row for step in zip(*drawn(shuffle=False), strict=True) for row in step]
    assert together[:20] == list(range(20))
    assert together[20:] == list(range(len(together) - 20))


def test_posters_that_cannot_be_shared_are_told(root: Path) -> None:
    data = poster_data(root)
    data.num_ranks = 1000
    with pytest.raises(DataError, match=r"poster\(s\) to train on cannot be shared among 1000 processes"):
        data.train_dataloader()


def test_the_rarest_genre_of_a_poster_says_how_often_it_is_drawn() -> None:
    # Genres of 4, 2 and 1 posters, and one that none has.
    targets = torch.tensor([[1.0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]])
    assert chances(targets, balance=0).tolist() == pytest.approx([1 / 4] * 4)
    assert chances(targets, balance=1).tolist() == pytest.approx([1 / 8, 1 / 8, 2 / 8, 4 / 8])
    root2 = 2**0.5
    whole = 1 + 1 / root2 + 1
    expected = [0.5 / whole, 0.5 / whole, 1 / root2 / whole, 1 / whole]
    assert chances(targets, balance=0.5).tolist() == pytest.approx(expected)


def test_with_full_balance_each_genre_is_in_its_share_of_the_draws_or_more() -> None:
    random = np.random.default_rng(0)
    targets = torch.from_numpy(random.random((500, 6)) < (0.6, 0.4, 0.2, 0.1, 0.05, 0.01)).float()
    targets = targets[targets.any(dim=1)]
    targets[:, 0] = 1  # one comes with all others
    drawn = chances(targets, balance=1) @ targets.double()
    assert float(drawn.min()) >= 1 / 6


@pytest.mark.parametrize("balance", [0.5, 1.0])
def test_genres_are_drawn_as_often_as_their_posters_weigh(balance: float) -> None:
    sizes = {0: 80, 1: 16, 2: 4}  # posters of one genre each
    genres = torch.tensor([genre for genre, size in sizes.items() for _ in range(size)])
    order = Order(100, shuffle=True, chances=chances(torch.eye(3)[genres], balance=balance), seed=1)
    counts = torch.zeros(3)
    for epoch in range(30):
        order.set_epoch(epoch)
        counts += torch.bincount(genres[[draw.row for draw in order]], minlength=3)
    total = sum(size ** (1 - balance) for size in sizes.values())
    for genre, size in sizes.items():
        share = size ** (1 - balance) / total
        sd = (3000 * share * (1 - share)) ** 0.5
        assert float(counts[genre]) == pytest.approx(3000 * share, abs=3 * sd)


def test_a_balanced_order_is_as_long_and_follows_from_seed_and_epoch() -> None:
    def rows(seed: int, epoch: int) -> list[int]:
        order = Order(50, shuffle=True, chances=torch.full((50,), 1 / 50, dtype=torch.float64), seed=seed)
        order.set_epoch(epoch)
        assert {draw.epoch for draw in order} == {epoch}
        assert len(order) == 50
        return [draw.row for draw in order]

    first = rows(3, 0)
    assert len(first) == 50
    assert len(set(first)) < 50  # drawn with replacement
    torch.rand(5)  # the global random state has no say
    assert rows(3, 0) == first
    assert rows(4, 0) != first
    assert rows(3, 1) != first


def uneven(root: Path) -> Path:
    return write_set(root / "posters", [(f"p{i:03}", ("War",) if i % 10 == 0 else ("Drama",)) for i in range(200)])


def test_balanced_training_draws_rare_genres_more_often_and_nothing_else_changes(tmp_path: Path) -> None:
    root = uneven(tmp_path)
    plain, balanced = poster_data(root), poster_data(root, balance=1.0)
    assert balanced.fingerprint == plain.fingerprint
    assert split_of(balanced) == split_of(plain)
    assert balanced.priors == plain.priors
    for split in ("train", "val", "test"):  # to be scored on, the training posters, too, come once
        one, other = ([batch.rows for batch in data.loader(split)] for data in (plain, balanced))
        assert torch.equal(torch.cat(one), torch.cat(other))
        assert torch.cat(other).tolist() == list(range(len(plain.rows[split])))
    loader = balanced.train_dataloader()
    assert isinstance(loader.sampler, Order)
    assert len(loader) == len(plain.train_dataloader())
    drawn = torch.zeros(3)  # Action (none has it), Drama, War
    for epoch in range(10):
        loader.sampler.set_epoch(epoch)
        epoch_targets = torch.cat([batch.targets for batch in loader])
        assert len(epoch_targets) == len(plain.rows["train"])
        drawn += epoch_targets.sum(dim=0)
    total = float(drawn.sum())
    assert plain.priors[2] < 0.15
    assert float(drawn[2]) / total == pytest.approx(0.5, abs=3 * 0.5 / total**0.5)


def test_without_balance_every_poster_comes_once_an_epoch(tmp_path: Path) -> None:
    loader = poster_data(uneven(tmp_path), balance=0.0).train_dataloader()
    rows = torch.cat([batch.rows for batch in loader]).tolist()
    assert sorted(rows) == list(range(len(rows)))


def test_a_resumed_balanced_epoch_draws_what_it_would_have(tmp_path: Path) -> None:
    root = uneven(tmp_path)
    resumed, whole = poster_data(root, balance=0.5), poster_data(root, balance=0.5)
    resumed.first_epoch = 2
    loader = whole.train_dataloader()
    assert isinstance(loader.sampler, Order)
    assert loader.sampler.chances is not None
    assert torch.equal(loader.sampler.chances, chances(whole.targets["train"], balance=0.5))
    loader.sampler.set_epoch(2)
    one, other = (torch.cat([batch.rows for batch in data]) for data in (resumed.train_dataloader(), loader))
    assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DataConfig(source="web"), r"no data.source 'web'; known: posters, demo"),
        (lambda: DataConfig(split="random"), r"no data.split 'random'; known: fixed, original, column"),
        (lambda: DataConfig(on_bad_image="ignore"), r"no data.on_bad_image 'ignore'; known: error, skip"),
        (lambda: DataConfig(balance=-0.1), r"data.balance must lie in 0 … 1, not -0.1"),
        (lambda: DataConfig(balance=1.5), r"data.balance must lie in 0 … 1, not 1.5"),
        (lambda: DataConfig(balance=float("nan")), r"data.balance must lie in 0 … 1, not nan"),
        (lambda: DataConfig(fold=5), r"data.fold must lie in 0 … 4, not 5"),
        (lambda: DataConfig(fold=-1), r"data.fold must lie in 0 … 4, not -1"),
        (lambda: DataConfig(batch_size=0), r"data.batch_size must be at least 1, not 0"),
        (lambda: DataConfig(workers=-2), r"data.workers must be at least -1, not -2"),
        (lambda: DataConfig(min_positives=0), r"data.min_positives must be at least 1, not 0"),
        (lambda: DataConfig(num_demo_posters=10), r"data.num_demo_posters must be at least 50, not 10"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(make: Callable[[], DataConfig], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="needs the original posters")
def test_the_original_posters_hold_two_pairs_of_duplicates_and_twelve_repeats(tmp_path: Path) -> None:
    data = poster_data(REAL, cache=str(tmp_path / "cache"), min_positives=40)
    assert data.manifest is not None
    ids = data.manifest.ids
    assert (data.manifest.num_rows, len(ids)) == (7254, 7242)
    assert data.notes == [
        "12 rows repeat an earlier row exactly: dropped",
        "9 poster(s) have no genre but N/A: left out",
    ]
    assert data.bad == []
    # One pair has no genre but N/A, so that it never meets a split.
    looks = scan(data.manifest.files, cache=tmp_path / "cache")
    members: dict[int, list[str]] = {}
    for name, group in zip(ids, duplicate_groups([look.hash for look in looks]).tolist(), strict=True):
        members.setdefault(group, []).append(name)
    pairs = [sorted(names) for names in members.values() if len(names) > 1]
    assert sorted(pairs) == [["tt0402577", "tt0420286"], ["tt2546294", "tt2546300"]]
    splits = split_of(data)
    assert len(splits) == 7233
    assert splits["tt0402577"] == splits["tt0420286"]
    shares = [len(data.rows[split]) / len(splits) for split in ("train", "val", "test")]
    assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.005)
    assert len(data.headline) == 22
    original = poster_data(REAL, cache=str(tmp_path / "cache"), split="original")
    assert len(original.rows["val"]) == pytest.approx(1451, abs=5)  # rows of the source's split, without repeats
