import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from conftest import no_room_for_files_beyond
from postergenre.data.datamodule import DataConfig, PosterData
from postergenre.data.pixels import DecodedPosters
from postergenre.data.store import RowStore
from postergenre.errors import CacheError, DataError
from postergenre.preprocess import Preprocess

RECORDS = torch.arange(60, dtype=torch.float16).reshape(10, 2, 3)


def store(folder: Path, name: str = "a.rows", **settings: object) -> RowStore:
    return RowStore(folder / name, **{"num_rows": 10, "shape": (2, 3), "dtype": torch.float16, **settings})  # type: ignore[arg-type]


def chunks() -> Iterator[Tensor]:
    yield RECORDS[:4]
    yield RECORDS[4:]


def test_rows_come_back_in_the_order_they_are_asked_for(tmp_path: Path) -> None:
    written = store(tmp_path)
    written.write(chunks(), limit=1)
    assert written.complete
    assert written.path.stat().st_size == 10 * 2 * 3 * 2
    assert torch.equal(store(tmp_path).read([7, 0, 7]), RECORDS[[7, 0, 7]])


def test_a_store_that_is_there_is_not_computed_again(tmp_path: Path) -> None:
    store(tmp_path).write(chunks(), limit=1)

    def never() -> Iterator[Tensor]:
        raise AssertionError("was asked for")
        yield

    store(tmp_path).write(never(), limit=1)
    assert torch.equal(store(tmp_path).read([3]), RECORDS[[3]])


def test_an_interrupted_build_leaves_nothing_and_the_next_one_is_whole(tmp_path: Path) -> None:
    def broken() -> Iterator[Tensor]:
        yield RECORDS[:4]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store(tmp_path).write(broken(), limit=1)
    assert not store(tmp_path).complete
    assert {path.suffix for path in tmp_path.iterdir()} == {".lock"}
    store(tmp_path).write(chunks(), limit=1)
    assert torch.equal(store(tmp_path).read(range(10)), RECORDS)


SLOW_WRITER = """
    import sys, time, torch
    from pathlib import Path
    from postergenre.data.store import RowStore

    def chunks():
        for row in range(10):
            print(row, flush=True)
            time.sleep(0.2)
            yield torch.full((1, 2, 3), row, dtype=torch.float16)

    RowStore(Path(sys.argv[1]), num_rows=10, shape=(2, 3), dtype=torch.float16).write(chunks(), limit=1)
"""


@pytest.mark.slow
def test_a_killed_build_is_never_read_and_its_draft_is_cleared_away(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(SLOW_WRITER), str(tmp_path / "a.rows")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        while writer.stdout.readline().strip() != "3":
            pass
        writer.send_signal(signal.SIGKILL)
    assert len(list(tmp_path.glob("*.draft"))) == 1
    assert not store(tmp_path).complete
    store(tmp_path).write(chunks(), limit=1)
    assert not list(tmp_path.glob("*.draft"))
    assert torch.equal(store(tmp_path).read(range(10)), RECORDS)


def build(folder: Path, log: Path) -> None:
    def counted() -> Iterator[Tensor]:
        with log.open("a") as file:
            file.write("built\n")
        time.sleep(0.3)
        yield RECORDS

    store(folder).write(counted(), limit=1)


def test_of_two_processes_that_want_the_same_store_one_builds_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=build, args=(tmp_path, tmp_path / "log")) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
        assert process.exitcode == 0
    assert (tmp_path / "log").read_text() == "built\n"
    assert torch.equal(store(tmp_path).read(range(10)), RECORDS)


def test_what_is_larger_than_the_limit_is_refused_with_both_numbers(tmp_path: Path) -> None:
    huge = store(tmp_path, num_rows=10**9)
    with pytest.raises(CacheError, match=r"12\.0 GB would be more than data.cache_limit=2 GB"):
        huge.write(chunks(), limit=2)
    assert not list(tmp_path.iterdir())


def test_the_least_recently_used_store_makes_room(tmp_path: Path) -> None:
    limit = 2.5 * RECORDS.numel() * 2 / 1e9
    for age, name in enumerate(("a.rows", "b.rows")):
        store(tmp_path, name).write(chunks(), limit=limit)
        os.utime(tmp_path / name, (1000 + age, 1000 + age))
    store(tmp_path, "a.rows").write(chunks(), limit=limit)  # used again
    store(tmp_path, "c.rows").write(chunks(), limit=limit)
    assert sorted(path.name for path in tmp_path.glob("*.rows")) == ["a.rows", "c.rows"]


def test_a_store_deleted_while_it_is_read_is_read_to_the_end(tmp_path: Path) -> None:
    written = store(tmp_path)
    written.write(chunks(), limit=1)
    written.read([0])
    written.path.unlink()
    assert torch.equal(written.read([9]), RECORDS[[9]])


def test_a_store_cut_short_is_neither_complete_nor_read(tmp_path: Path) -> None:
    written = store(tmp_path)
    written.write(chunks(), limit=1)
    written.read([0])
    os.truncate(written.path, 100)
    assert not written.complete
    assert not store(tmp_path).open()
    with pytest.raises(DataError, match=r"a.rows was cut short while it was read"):
        written.read([9])


def test_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    def full() -> Iterator[Tensor]:
        yield RECORDS[:4]
        raise OSError(28, "No space left on device")

    with pytest.raises(CacheError, match=r"cannot write .*a.rows: No space left on device"):
        store(tmp_path).write(full(), limit=1)
    assert {path.suffix for path in tmp_path.iterdir()} == {".lock"}


def test_a_write_that_the_kernel_cuts_short_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    large = store(tmp_path, num_rows=30_000)  # 360 kB
    with no_room_for_files_beyond(100_000), pytest.raises(CacheError, match=r"cannot write .*a.rows: File too large"):
        large.write((RECORDS for _ in range(3000)), limit=1)
    assert {path.suffix for path in tmp_path.iterdir()} == {".lock"}


def data(root: Path, cache: Path, **settings: object) -> PosterData:
    config = DataConfig(root=str(root), min_positives=5, workers=0, cache=str(cache))
    for name, value in settings.items():
        setattr(config, name, value)
    made = PosterData(config, Preprocess(height=32, width=24))
    made.setup()
    return made


def stores(cache: Path) -> list[Path]:
    return sorted((cache / "stores").glob("*.rows"))


def test_stored_pixels_are_the_decoded_ones(colour_posters: Path, tmp_path: Path) -> None:
    made = data(colour_posters, tmp_path)
    plain = made.images()
    assert isinstance(plain, DecodedPosters)
    kept = made.images(write=True)
    assert isinstance(kept, RowStore)
    rows = list(range(0, 120, 7))
    assert torch.equal(kept.read(rows), plain.read(rows))


def test_folds_share_their_pixels_and_another_preprocessing_does_not(colour_posters: Path, tmp_path: Path) -> None:
    data(colour_posters, tmp_path).images(write=True)
    data(colour_posters, tmp_path, fold=3).images(write=True)
    assert len(stores(tmp_path)) == 1
    other = data(colour_posters, tmp_path)
    other.preprocess = Preprocess(height=32, width=24, resize="crop")
    other.images(write=True)
    assert len(stores(tmp_path)) == 2


def test_a_changed_file_changes_the_pixels(colour_posters: Path, tmp_path: Path) -> None:
    root = tmp_path / "posters"
    (root / "Images").mkdir(parents=True)
    (root / "train.csv").write_bytes((colour_posters / "train.csv").read_bytes())
    for path in (colour_posters / "Images").iterdir():
        (root / "Images" / path.name).write_bytes(path.read_bytes())
    before = data(root, tmp_path / "cache").images(write=True).read([0])
    (root / "Images" / "c000.jpg").write_bytes((root / "Images" / "c003.jpg").read_bytes())
    after = data(root, tmp_path / "cache").images(write=True).read([0])
    assert not torch.equal(before, after)
    assert len(stores(tmp_path / "cache")) == 2


def test_pixels_beyond_the_limit_are_decoded_in_every_epoch_with_a_note(colour_posters: Path, tmp_path: Path) -> None:
    made = data(colour_posters, tmp_path, cache_limit=1e-6)
    assert isinstance(made.images(write=True), DecodedPosters)
    assert made.notes == [
        "pixels are not kept, posters are decoded in every epoch: 0.0 GB would be more than data.cache_limit=1e-06 GB"
    ]
    batch = next(iter(made.train_dataloader()))
    assert batch.images.shape == (32, 3, 32, 24)


def test_where_the_disk_takes_no_more_posters_are_decoded_in_every_epoch(colour_posters: Path, tmp_path: Path) -> None:
    made = data(colour_posters, tmp_path)  # 276 kB of pixels
    with no_room_for_files_beyond(200_000):
        assert isinstance(made.images(write=True), DecodedPosters)
        assert sum(len(batch.rows) for batch in made.train_dataloader()) == len(made.rows["train"])
    (note,) = made.notes
    assert note.startswith("pixels are not kept, posters are decoded in every epoch: cannot write ")
    assert note.endswith(".rows: File too large")
    assert {path.suffix for path in (tmp_path / "stores").iterdir()} == {".lock"}


def test_a_limit_of_zero_keeps_nothing_and_says_nothing(colour_posters: Path, tmp_path: Path) -> None:
    made = data(colour_posters, tmp_path, cache_limit=0.0)
    assert isinstance(made.images(write=True), DecodedPosters)
    assert not made.notes
    assert not stores(tmp_path)
