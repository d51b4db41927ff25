"""Shards hold the posters of their CSV, and training on them is training on the folder."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from conftest import ROOT, evaluate_config, small_config
from postergenre.augment import Augment
from postergenre.classifier.contract import read_checkpoint
from postergenre.data.datamodule import DataConfig, PosterData
from postergenre.data.dataset import Batch
from postergenre.data.sharded import ShardedPosterData, build_data
from postergenre.data.streams import Piece, Stream
from postergenre.errors import CheckpointError, ConfigError, DataError
from postergenre.evaluation import evaluate
from postergenre.preprocess import Preprocess
from postergenre.sharding import ShardConfig, shard
from postergenre.training import TrainConfig, Trained, TrainerConfig, train
from postergenre.training.checkpoints import WholeFiles

SMALL = 0.012
"""Megabytes of a shard: seven of the 84 colour posters to train on."""


def data_config(root: Path, **settings: object) -> DataConfig:
    return small_config(root, root).data if not settings else DataConfig(
        root=str(root), batch_size=16, workers=0, min_positives=5, cache=str(root / "cache"), **settings
    )  # fmt: skip


def make(posters: Path, output: str | Path, **settings: object) -> str:
    settings = {"size": SMALL} | settings
    shard(ShardConfig(output=str(output), data=data_config(posters), **settings))
    return str(output)


@pytest.fixture(scope="module")
def shards(colour_posters: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return make(colour_posters, tmp_path_factory.mktemp("shards"))


def opened(root: str | Path, **settings: object) -> ShardedPosterData:
    ours = ("rank", "num_ranks", "first_epoch", "first_batch", "seed", "augment")
    places = {name: settings.pop(name) for name in ours if name in settings}
    config = DataConfig(
        **{"source": "shards", "root": str(root), "batch_size": 16, "workers": 0, "min_positives": 5} | settings
    )
    data = build_data(
        config, Preprocess(height=32, width=24), seed=places.pop("seed", 0), augment=places.pop("augment", None)
    )
    for name, value in places.items():
        setattr(data, name, value)
    data.setup()
    assert isinstance(data, ShardedPosterData)
    return data


def folder_data(root: Path, **settings: object) -> PosterData:
    data = PosterData(data_config(root), Preprocess(height=32, width=24), **settings)
    data.setup()
    return data


def rows_of(batches: Iterator[Batch] | list[Batch]) -> list[int]:
    return [row for batch in batches for row in batch.rows.tolist()]


def assert_same_batches(ours: list[Batch], theirs: list[Batch]) -> None:
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        assert all(torch.equal(left, right) for left, right in zip(one, other, strict=True))


def epoch(data: PosterData, number: int = 0) -> list[Batch]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)
    return list(loader)


def test_shards_hold_the_posters_labels_and_splits_of_the_csv(colour_posters: Path, shards: str) -> None:
    folder, sharded = folder_data(colour_posters), opened(shards)
    assert folder.manifest is not None
    assert sharded.fingerprint == folder.fingerprint
    assert (sharded.genres, sharded.priors, sharded.headline) == (folder.genres, folder.priors, folder.headline)
    assert sharded.sizes == folder.sizes
    assert len(list(Path(shards).glob("train-*.parquet"))) > 3
    for split, rows in folder.rows.items():
        assert torch.equal(sharded.counts[split], folder.counts[split])
        told = {
            row["id"]: row
            for path in sorted(Path(shards).glob(f"{split}-*.parquet"))
            for row in parquet.read_table(path).to_pylist()
        }
        assert {name: tuple(row["genres"]) for name, row in told.items()} == {
            folder.manifest.ids[i]: folder.manifest.labels[i] for i in rows
        }
        assert list(told) != [folder.manifest.ids[i] for i in rows]  # in another order
        for i in rows:
            row = told[folder.manifest.ids[i]]
            assert row["image"] == Path(folder.manifest.files[i]).read_bytes()
            assert (row["split"], row["group"], row["width"], row["height"]) == (split, folder.groups[i], 24, 36)


def test_batches_of_unshuffled_shards_are_those_of_the_folder(colour_posters: Path, tmp_path: Path) -> None:
    augment = Augment(flip=0.5, colour=0.3)
    sharded = opened(make(colour_posters, tmp_path, shuffle=False), augment=augment, seed=3)
    folder = folder_data(colour_posters, augment=augment, seed=3)
    for split in ("train", "val", "test"):
        assert_same_batches(list(sharded.loader(split)), list(folder.loader(split)))
    seen = {
        row: image for batch in epoch(folder, 2) for row, image in zip(batch.rows.tolist(), batch.images, strict=True)
    }
    for batch in epoch(sharded, 2):  # in another order, and augmented alike
        assert all(torch.equal(image, seen[row]) for row, image in zip(batch.rows.tolist(), batch.images, strict=True))


def test_training_in_the_same_order_gives_the_same_weights_and_scores(
    colour_posters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in (PosterData, ShardedPosterData):
        monkeypatch.setattr(kind, "train_dataloader", lambda data: data.loader("train"))
    root = make(colour_posters, tmp_path / "shards", shuffle=False)
    config = small_config(colour_posters, tmp_path / "folder")
    config.trainer.max_epochs = 2
    of_folder = train(config, pictures=False)
    config = sharded_config(root, tmp_path / "sharded")
    config.trainer.max_epochs = 2
    of_shards = train(config, pictures=False)
    assert of_shards.scores == of_folder.scores
    assert_same_weights(of_shards.last, of_folder.last)


def sharded_config(root: str, output: Path) -> TrainConfig:
    config = small_config(Path("nowhere"), output)
    config.data = DataConfig(source="shards", root=root, batch_size=16, workers=0, min_positives=5, window=20)
    return config


def assert_same_weights(ours: Path, theirs: Path) -> None:
    one, other = (read_checkpoint(path)[0] for path in (ours, theirs))
    assert one["state_dict"].keys() == other["state_dict"].keys()
    for name, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][name]), name


def test_an_epoch_has_every_poster_once_in_an_order_of_its_own(shards: str) -> None:
    data = opened(shards, window=20)
    first, second = rows_of(epoch(data)), rows_of(epoch(data, 1))
    assert sorted(first) == sorted(second) == list(range(data.sizes["train"]))
    assert first != second
    assert rows_of(epoch(opened(shards, window=20), 1)) == second
    assert rows_of(epoch(opened(shards, window=20, seed=1))) != first
    shard_of = [number for number, shard in enumerate(data.shards["train"]) for _ in range(shard.num_posters)]
    assert len({shard_of[row] for row in first[:20]}) > 2  # mixed beyond a shard


@pytest.mark.parametrize("num_ranks", [2, 3, 5])
@pytest.mark.parametrize("window", [1, 7, 1000])
def test_processes_share_an_epoch(shards: str, num_ranks: int, window: int) -> None:
    parts = [
        [sample.row for sample in stream]
        for rank in range(num_ranks)
        for stream in [opened(shards, rank=rank, num_ranks=num_ranks, window=window).train_dataloader().sampler]
    ]
    size = opened(shards).sizes["train"]
    assert {len(part) for part in parts} == {size // num_ranks}
    rows = [row for part in parts for row in part]
    assert len(set(rows)) == len(rows) == size - size % num_ranks
    padded = [
        rows_of(opened(shards, rank=rank, num_ranks=num_ranks, window=window).loader("val"))
        for rank in range(num_ranks)
    ]
    assert len({len(part) for part in padded}) == 1
    assert {row for part in padded for row in part} == set(range(opened(shards).sizes["val"]))


def test_the_order_does_not_depend_on_the_workers(shards: str) -> None:
    augment = Augment(flip=0.5)
    alone, helped = (opened(shards, window=20, workers=workers, augment=augment) for workers in (0, 2))
    assert_same_batches(list(helped.train_dataloader()), list(alone.train_dataloader()))


@pytest.mark.parametrize("batch", range(6))
def test_what_is_left_of_an_epoch_is_its_end(shards: str, batch: int) -> None:
    whole = epoch(opened(shards, window=20), 3)
    data = opened(shards, window=20, first_epoch=3, first_batch=batch)
    assert len(data.train_dataloader()) == len(whole) == 6
    assert_same_batches(list(data.train_dataloader()), whole[batch:])
    assert rows_of(epoch(data, 4)) == rows_of(epoch(opened(shards, window=20), 4))


def test_what_is_left_of_an_epoch_is_its_end_in_a_folder_too(colour_posters: Path) -> None:
    whole = epoch(folder_data(colour_posters), 3)
    data = folder_data(colour_posters)
    data.first_epoch, data.first_batch = 3, 2
    assert_same_batches(list(data.train_dataloader()), whole[2:])
    assert rows_of(epoch(data, 4)) == rows_of(epoch(folder_data(colour_posters), 4))


def noisy(config: TrainConfig) -> TrainConfig:
    config.augment, config.model.dropout = Augment(flip=0.5, colour=0.2, mixup=0.4), 0.5
    config.optim.ema, config.optim.schedule = 0.9, "cosine"
    config.trainer.max_epochs, config.trainer.save_steps = 3, 2
    return config


@pytest.mark.parametrize("source", ["shards", "posters"])
def test_a_run_that_goes_on_in_the_middle_of_an_epoch_is_the_run_that_never_stopped(
    source: str, shards: str, colour_posters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def config(name: str) -> TrainConfig:
        if source == "shards":
            return noisy(sharded_config(shards, tmp_path / name))
        return noisy(small_config(colour_posters, tmp_path / name))

    saved, middle = WholeFiles.save_checkpoint, tmp_path / "middle.ckpt"

    def observed(io: WholeFiles, checkpoint: dict[str, object], path: Path, storage_options: object = None) -> None:
        saved(io, checkpoint, path, storage_options)
        if (checkpoint["epoch"], checkpoint["batches"]) == (1, 4):
            shutil.copyfile(path, middle)

    monkeypatch.setattr(WholeFiles, "save_checkpoint", observed)
    whole = train(config("whole"), pictures=False)
    asked = config("resumed")
    asked.resume = str(middle)
    resumed = train(asked, pictures=False)
    assert resumed.scores == whole.scores
    assert_same_weights(resumed.last, whole.last)
    one, other = (read_checkpoint(trained.last)[0] for trained in (resumed, whole))
    assert one["global_step"] == other["global_step"] == 18
    asked.data.batch_size = 8
    with pytest.raises(CheckpointError, match=r"in the middle of an epoch: its data.batch_size \(16\) is not .* \(8\)"):
        train(asked, pictures=False)


RUN = """
import sys
sys.path.insert(0, "tests")
from pathlib import Path
from postergenre.training import train
from test_sharding import noisy, sharded_config
if __name__ == "__main__":
    config = noisy(sharded_config(sys.argv[1], Path(sys.argv[2])))
    config.trainer.processes, config.resume = "2", sys.argv[3] if len(sys.argv) > 3 else None
    config.trainer.max_epochs = 4
    train(config, pictures=False)
"""


@pytest.mark.slow
def test_two_processes_go_on_in_the_middle_of_an_epoch_bit_for_bit(shards: str, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(RUN)

    def run(*arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(script), shards, *arguments], cwd=ROOT)

    last = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    cut = run(str(tmp_path / "cut"))
    while not (last.exists() and (there := read_checkpoint(last)[0])["batches"] and there["epoch"] > 1):
        assert cut.poll() is None
        time.sleep(0.02)
    cut.send_signal(signal.SIGKILL)
    cut.wait()
    time.sleep(2)  # its processes end with it
    middle = shutil.copyfile(last, tmp_path / "middle.ckpt")
    assert read_checkpoint(middle)[0]["batches"]
    assert run(str(tmp_path / "whole")).wait() == 0
    assert run(str(tmp_path / "resumed"), str(middle)).wait() == 0
    assert_same_weights(*(tmp_path / name / "checkpoints" / "last.ckpt" for name in ("resumed", "whole")))


@pytest.mark.slow
def test_two_processes_score_shards_as_one_does(shards: str, tmp_path: Path) -> None:
    config = sharded_config(shards, tmp_path / "run")
    config.trainer.processes, config.trainer.max_epochs = "2", 2
    trained = train(config)
    found = evaluate(evaluate_config(trained.best, tmp_path / "scores", split="val"))
    assert found == pytest.approx(trained.scores, abs=1e-6)


@pytest.mark.slow
def test_shards_teach_what_the_folder_teaches_and_are_scored_like_it(
    shards: str, colour_posters: Path, trained: Trained, tmp_path: Path
) -> None:
    config = sharded_config(shards, tmp_path / "run")
    config.model.freeze = "stage1"
    learnt = train(config)
    assert learnt.score > 0.9
    assert sorted(path.name for path in (tmp_path / "run").iterdir() if path.suffix == ".json") == [
        "scores.json", "shards.json"
    ]  # fmt: skip
    ours = evaluate_config(learnt.best, tmp_path / "ours", report=True)
    scores = evaluate(ours)
    assert "data:image/jpeg" in (tmp_path / "ours" / "report.html").read_text()
    ours.data.source, ours.data.root, ours.output_dir = "posters", str(colour_posters), str(tmp_path / "folder")
    assert evaluate(ours) == pytest.approx(scores, abs=1e-6)
    theirs = evaluate_config(trained.best, tmp_path / "theirs")
    expected = evaluate(theirs)
    theirs.data.source, theirs.data.root = "shards", shards
    assert evaluate(theirs) == pytest.approx(expected, abs=1e-6)
    theirs.split = "all"
    assert evaluate(theirs)["num_posters"] == 120


@pytest.mark.slow
def test_shards_that_are_cut_off_by_a_kill_become_the_same_shards(
    colour_posters: Path, shards: str, tmp_path: Path
) -> None:
    output = tmp_path / "cut"
    command = [
        sys.executable, str(ROOT / "scripts" / "shard.py"), f"data.root={colour_posters}", "data.min_positives=5",
        f"data.cache={colour_posters / 'cache'}", f"output={output}", f"size={SMALL}",
    ]  # fmt: skip
    slow = [sys.executable, "-c", KILLED, *command[2:]]
    killed = subprocess.run(slow, cwd=tmp_path, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    names = [path.name for path in output.iterdir()]
    assert len(names) == 4
    assert sum(name.endswith(".draft") for name in names) == 1
    finished = {path.name: path.stat().st_mtime_ns for path in output.glob("*.parquet")}
    with pytest.raises(DataError, match=r"no index.json at .*cut: it is written last"):
        opened(output)
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    assert all((output / name).stat().st_mtime_ns == moment for name, moment in finished.items())
    assert {path.name: path.read_bytes() for path in output.iterdir()} == {
        path.name: path.read_bytes() for path in Path(shards).iterdir()
    }


KILLED = f"""
import os, runpy, signal, sys
from fsspec.implementations.local import LocalFileSystem
move, moves = LocalFileSystem.mv, []
def killed(self, *arguments, **settings):
    if len(moves) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    moves.append(move(self, *arguments, **settings))
LocalFileSystem.mv = killed
runpy.run_path({str(ROOT / "scripts" / "shard.py")!r}, run_name="__main__")
"""


def test_the_same_command_again_writes_nothing(colour_posters: Path, tmp_path: Path) -> None:
    make(colour_posters, tmp_path)
    again = shard(ShardConfig(output=str(tmp_path), data=data_config(colour_posters), size=SMALL))
    assert again.num_written == 0
    with pytest.raises(DataError, match=r"holds shards of other posters or other settings \(.*\.parquet\)"):
        make(colour_posters, tmp_path, seed=1)


@pytest.mark.parametrize("address", ["memory://posters", "file://{}/far"])
def test_any_path_that_fsspec_knows_will_do(address: str, colour_posters: Path, shards: str, tmp_path: Path) -> None:
    root = make(colour_posters, address.format(tmp_path))
    data = opened(root, workers=2)
    assert_same_batches(list(data.train_dataloader()), list(opened(shards).train_dataloader()))
    assert data.root.removeprefix("memory:///").removeprefix("memory://") in (
        "posters", f"file://{tmp_path}/far",
    )  # fmt: skip
    config = sharded_config(root, tmp_path / "run")
    config.trainer.max_epochs = 1
    trained = train(config, pictures=False)
    scores = evaluate(evaluate_config(trained.best, tmp_path / "scores", split="val"))
    assert scores == pytest.approx(trained.scores, abs=1e-6)
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def damaged(shards: str, tmp_path: Path) -> Path:
    return shutil.copytree(shards, tmp_path / "damaged")


def test_a_missing_and_a_truncated_shard_are_told_before_anything_begins(damaged: Path) -> None:
    (damaged / "train-00001.parquet").unlink()
    cut = damaged / "val-00000.parquet"
    cut.write_bytes(cut.read_bytes()[:-100])
    with pytest.raises(DataError) as caught:
        opened(damaged)
    told = str(caught.value)
    assert told.startswith(
        f"2 shard(s) at {damaged} cannot be used: train-00001.parquet is missing; val-00000.parquet has"
    )
    assert "run the same scripts/shard.py again" in told


def test_damage_within_a_shard_is_told_when_it_is_read(damaged: Path) -> None:
    for path in damaged.glob("train-*.parquet"):
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 1
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"^cannot read train-0000\d.parquet at .*damaged: "):
        epoch(opened(damaged))


def test_shards_of_two_sets_do_not_mix(colour_posters: Path, damaged: Path, tmp_path: Path) -> None:
    other = make(colour_posters, tmp_path / "other", seed=1)
    shutil.copyfile(Path(other) / "train-00000.parquet", damaged / "train-00000.parquet")
    with pytest.raises(DataError, match=r"not a shard of the set|instead of"):
        epoch(opened(damaged))


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("nowhere", "no index.json at nowhere: it is written last"),
        ("ftq://posters", "cannot reach ftq://posters: Protocol not known: ftq"),
    ],
)
def test_no_shards_are_told_in_a_sentence(root: str, message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        opened(root)


def test_an_index_that_says_nothing_is_told(damaged: Path) -> None:
    for text in ("{", "[]", '{"format": 2}', '{"format": 1}'):
        (damaged / "index.json").write_text(text)
        with pytest.raises(DataError, match=r"^cannot use .*damaged/index.json: "):
            opened(damaged)


def test_shards_keep_the_split_they_were_made_with(shards: str) -> None:
    with pytest.raises(ConfigError, match=r"data.fold=1, but the shards at .* were divided with 0: write data.fold=0"):
        opened(shards, fold=1)
    with pytest.raises(ConfigError, match=r"ignore_genres=\[\], but .* with \['N/A'\]: write data.ignore_genres"):
        opened(shards, ignore_genres=[])


def test_posters_that_show_the_same_art_lie_on_one_side(colour_posters: Path, tmp_path: Path) -> None:
    root = shutil.copytree(colour_posters, tmp_path / "posters", ignore=shutil.ignore_patterns("cache"))
    table = root / "train.csv"
    lines = table.read_text().splitlines()
    pairs = {}
    for number, line in enumerate(lines[1:31]):
        name = line.split(",", 1)[0]
        poster = root / "Images" / f"{name}.jpg"
        tiles = np.random.default_rng(number).integers(0, 256, (24, 16, 3), dtype=np.uint8)  # flat colours look alike
        art = Image.fromarray(tiles).resize((160, 240), Image.Resampling.NEAREST)
        art.save(poster, quality=95)
        art.resize((90, 140)).save(root / "Images" / f"copy{number}.jpg", quality=50)
        pairs[name] = f"copy{number}"
        lines.append(line.replace(name, f"copy{number}", 1))
    table.write_text("\n".join(lines) + "\n")
    make(root, tmp_path / "shards")
    side = {
        row["id"]: (row["split"], row["group"])
        for path in (tmp_path / "shards").glob("*.parquet")
        for row in parquet.read_table(path, columns=["id", "split", "group"]).to_pylist()
    }
    assert all(side[name] == side[copy] for name, copy in pairs.items())
    assert len({side[name][0] for name in pairs}) == 3


def test_pictures_can_be_made_small(colour_posters: Path, tmp_path: Path) -> None:
    make(colour_posters, tmp_path / "small", longest=18, quality=80)
    make(colour_posters, tmp_path / "same", longest=36)
    small, same = (
        {row["id"]: row for path in (tmp_path / name).glob("*.parquet") for row in parquet.read_table(path).to_pylist()}
        for name in ("small", "same")
    )
    for name, row in small.items():
        assert (row["width"], row["height"]) == (12, 18)
        assert len(row["image"]) < len(same[name]["image"])
        assert same[name]["image"] == (colour_posters / "Images" / f"{name}.jpg").read_bytes()
    assert opened(tmp_path / "small").fingerprint == opened(tmp_path / "same").fingerprint


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"output": ""}, "output is empty"),
        ({"size": 0}, "size must be above 0 megabytes, not 0"),
        ({"longest": 3}, "longest must be 0 .* or at least 16 pixels, not 3"),
        ({"quality": 100}, "quality must lie in 1 … 95, not 100"),
        ({"data": DataConfig(source="shards")}, "shards are made of a poster CSV"),
        ({"data": DataConfig(split="all")}, "data.split=all leaves nothing to train on"),
    ],
)
def test_settings_that_mean_nothing_are_told(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ShardConfig(**{"output": "x"} | settings)


def test_what_a_stream_cannot_do_is_told() -> None:
    with pytest.raises(ConfigError, match=r"data.balance draws posters from all over"):
        TrainConfig(data=DataConfig(source="shards", balance=0.5))
    with pytest.raises(ConfigError, match=r"trainer.save_steps must be at least 0"):
        TrainerConfig(save_steps=-1)
    with pytest.raises(ConfigError, match=r"data.window must be at least 1"):
        DataConfig(window=0)


def test_a_stream_reads_one_window_ahead(shards: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    whole = Stream._read

    def counted(stream: Stream, piece: Piece) -> object:
        read.append(piece.last - piece.first)
        return whole(stream, piece)

    monkeypatch.setattr(Stream, "_read", counted)
    data = opened(shards, window=10)
    for number, _ in enumerate(data.train_dataloader().sampler):
        assert sum(read) <= (number // 10 + 2) * 10
    assert sum(read) == data.sizes["train"]
