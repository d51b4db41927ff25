"""Runs that are killed and begun again."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from PIL import Image
from pyarrow import parquet as arrow

from conftest import COLOURS, ROOT, Server, read_csv
from postergenre.errors import DataError, PartialError
from postergenre.inference import PredictConfig, parquet, predict
from postergenre.training import Trained


@pytest.fixture
def posters(tmp_path: Path) -> Path:
    folder = tmp_path / "posters"
    folder.mkdir()
    for number in range(8):
        Image.new("RGB", (24, 32), (250 * (number & 1), 125 * (number & 2), 60 * (number & 4))).save(
            folder / f"{number}.png"
        )
    (folder / "5.png").write_bytes(b"no picture")
    return folder


def config(trained: Trained, posters: Any, output: Path, **settings: Any) -> PredictConfig:
    return PredictConfig(
        checkpoint=str(trained.best), posters=posters, output=str(output), gpus="0", precision="32", batch_size=2,
        output_dir=str(output.parent / "pictures"), **settings,
    )  # fmt: skip


def finish(asked: PredictConfig) -> None:
    with pytest.raises(PartialError, match="1 of 8 posters could not be read"):
        predict(asked)


def read(table: Path) -> list[dict[str, Any]]:
    """Return the rows of a table in any format, numbers as numbers."""
    if table.suffix == ".parquet":
        rows: list[dict[str, Any]] = arrow.read_table(table).to_pylist()
    elif table.suffix == ".jsonl":
        rows = [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()]
    else:
        rows = list(read_csv(table))
    for row in rows:
        row |= {colour: float(row[colour]) for colour in COLOURS if row[colour]}
    return rows


def assert_same(table: Path, other: Path) -> None:
    """Compare all cells; batches of other sizes add up in another order, so that the last digit may differ."""
    first, second = read(table), read(other)
    assert len(first) == len(second)
    for left, right in zip(first, second, strict=True):
        numbers = {colour: right.pop(colour) for colour in COLOURS if right["error"] in (None, "")}
        assert {colour: left.pop(colour) for colour in numbers} == pytest.approx(numbers, abs=2e-6)
        assert left == right


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.parquet"])
def test_a_table_that_ends_early_is_continued_to_what_it_would_have_been(
    trained: Trained, posters: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(parquet, "PART_ROWS", 3)
    finish(config(trained, str(posters), tmp_path / "whole" / name))
    table = tmp_path / "cut" / name
    some = sorted(str(path) for path in posters.iterdir())
    predict(config(trained, some[:5], table))
    if name != "x.parquet":
        table.write_bytes(table.read_bytes()[:-7])
    capsys.readouterr()
    finish(config(trained, str(posters), table))
    printed = capsys.readouterr().out
    there = 5 if name == "x.parquet" else 4
    assert f"{there} of 8 posters are in {table} already" in printed
    assert sum(": " in line and "%" in line for line in printed.splitlines()) == 8 - there - 1
    assert_same(table, tmp_path / "whole" / name)
    finish(config(trained, str(posters), table))  # nothing is left to do, and the bad poster still counts
    assert "8 of 8 posters are in" in capsys.readouterr().out
    assert_same(table, tmp_path / "whole" / name)


def test_posters_that_come_after_the_others_are_added(trained: Trained, posters: Path, tmp_path: Path) -> None:
    (posters / "5.png").unlink()
    predict(config(trained, str(posters), tmp_path / "x.csv"))
    before = (tmp_path / "x.csv").read_bytes()
    Image.new("RGB", (24, 32)).save(posters / "9.png")
    predict(config(trained, str(posters), tmp_path / "x.csv"))
    after = (tmp_path / "x.csv").read_bytes()
    assert after.startswith(before)
    assert [Path(row["poster"]).name for row in read_csv(tmp_path / "x.csv")] == [f"{n}.png" for n in "01234679"]


def test_other_posters_are_refused_and_the_table_stays(trained: Trained, posters: Path, tmp_path: Path) -> None:
    table = tmp_path / "x.csv"
    names = [str(posters / f"{number}.png") for number in range(4)]
    predict(config(trained, names, table))
    before = table.read_bytes()
    for others, told in (
        ([names[0], *names[2:]], f"number 2 is {names[1]} there and {names[2]} now"),
        (names[:3], f"number 4 is {names[3]} there and no poster now"),
    ):
        with pytest.raises(DataError, match="was begun with other posters") as refused:
            predict(config(trained, others, table))
        assert told in str(refused.value)
        assert table.read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"tta": "flip"}, "tta=none, not flip"), ({"top": 1}, "top=3, not 1"),
     ({"allow_empty": True}, "allow_empty=False, not True")],
)  # fmt: skip
def test_other_settings_are_refused(
    trained: Trained, posters: Path, tmp_path: Path, settings: dict[str, Any], told: str
) -> None:
    asked = config(trained, str(posters / "0.png"), tmp_path / "x.csv")
    predict(asked)
    with pytest.raises(DataError, match=f"x.csv was begun with {told}; give another output"):
        predict(replace(asked, **settings))


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_another_checkpoint_is_refused_but_a_copy_is_the_same(
    trained: Trained, posters: Path, tmp_path: Path, name: str
) -> None:
    asked = config(trained, str(posters / "0.png"), tmp_path / name)
    predict(asked)
    copy = tmp_path / "copy.ckpt"
    copy.write_bytes(trained.best.read_bytes())
    predict(replace(asked, checkpoint=str(copy)))
    assert len(read(tmp_path / name)) == 1
    last = trained.best.with_name("last.ckpt")
    with pytest.raises(DataError, match=r"was begun with checkpoint .*best.ckpt, not as .*last.ckpt is now"):
        predict(replace(asked, checkpoint=str(last)))


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_a_file_of_the_users_own_is_never_touched(trained: Trained, posters: Path, tmp_path: Path, name: str) -> None:
    table = tmp_path / name
    own = table / "own.parquet" if name == "x.parquet" else table
    own.parent.mkdir(exist_ok=True)
    own.write_bytes(b"precious")
    with pytest.raises(DataError, match=f"{name} is there, and predict did not write it; give another output"):
        predict(config(trained, str(posters), table))
    assert own.read_bytes() == b"precious"


def test_a_note_that_says_nothing_is_told(trained: Trained, posters: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv.run.json").write_text("{")
    with pytest.raises(DataError, match=r"x.csv.run.json does not say what .*x.csv was made with"):
        predict(config(trained, str(posters), tmp_path / "x.csv"))


def test_two_runs_do_not_write_one_table(trained: Trained, posters: Path, tmp_path: Path) -> None:
    with (
        FileLock(tmp_path / ".x.csv.run.json.lock"),
        pytest.raises(DataError, match=r"another run is writing .*x.csv"),
    ):
        predict(config(trained, str(posters), tmp_path / "x.csv"))
    assert not (tmp_path / "x.csv").exists()


def test_the_note_says_what_made_the_table(trained: Trained, posters: Path, tmp_path: Path) -> None:
    predict(config(trained, str(posters / "0.png"), tmp_path / "x.csv"))
    note = json.loads((tmp_path / "x.csv.run.json").read_text())
    assert note["checkpoint"] == [str(trained.best)]
    assert len(note["sha256"][0]) == 64
    assert (note["tta"], note["allow_empty"], note["top"]) == ("none", False, 3)


def test_the_sheet_and_pictures_of_a_continued_run_are_those_of_a_whole_one(
    trained: Trained, posters: Path, tmp_path: Path
) -> None:
    (posters / "5.png").unlink()
    drawn = {"sheet": True, "annotate": True}
    whole = config(trained, str(posters), tmp_path / "whole" / "x.csv", **drawn)
    predict(whole)
    some = sorted(str(path) for path in posters.iterdir())[:4]
    predict(config(trained, some, tmp_path / "cut" / "x.csv", annotate=True))
    predict(config(trained, str(posters), tmp_path / "cut" / "x.csv", **drawn))
    first, second = (Path(tmp_path / folder / "pictures") for folder in ("whole", "cut"))
    assert (first / "sheet.png").read_bytes() == (second / "sheet.png").read_bytes()
    names = [f"{number}.png.png" for number in "0123467"]
    for folder in (first, second):
        assert sorted(path.name for path in (folder / "annotated").iterdir()) == names


RUN = """
import sys
from postergenre.inference import PredictConfig, parquet, predict
parquet.PART_ROWS = 6
predict(PredictConfig(checkpoint=sys.argv[1], posters=sys.argv[2], column="poster", output=sys.argv[3], gpus="0",
                      precision="32", batch_size=4, output_dir=sys.argv[4]))
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Server() as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.parquet"])
def test_a_run_that_is_killed_loses_and_repeats_no_row(
    trained: Trained, posters: Path, tmp_path: Path, server: Server, name: str
) -> None:
    paths = [f"/{number}.png" for number in range(40)]
    for number, path in enumerate(paths):
        server.pages[path] = (posters / f"{number % 8}.png").read_bytes()
    (tmp_path / "list.csv").write_text("poster\n" + "\n".join(server.address + path for path in paths))
    command = [sys.executable, "-c", RUN, str(trained.best), str(tmp_path / "list.csv"), str(tmp_path / name)]
    command.append(str(tmp_path / "out"))
    for stop in (9, 22):  # posters that are asked for and not answered before the run is dead
        server.held[paths[stop]] = threading.Event()
        run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        least = stop // 4 * 4 // (6 if name == "x.parquet" else 1) * (6 if name == "x.parquet" else 1)
        deadline = time.monotonic() + 300
        while rows_there(tmp_path / name) < least or paths[stop] not in server.asked:
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        run.kill()
        run.wait()
        assert rows_there(tmp_path / name) == least
        server.held.pop(paths[stop]).set()
    server.asked.clear()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "PartialError: 5 of 40 posters could not be read" in done.stderr
    assert sorted(server.asked) == sorted(paths[least:])
    rows = read(tmp_path / name)
    assert [row["poster"] for row in rows] == [server.address + path for path in paths]
    assert [number for number, row in enumerate(rows) if row["error"]] == [5, 13, 21, 29, 37]
    for row, first in zip(rows, rows[:8] * 5, strict=True):
        if not row["error"]:
            assert [row[colour] for colour in COLOURS] == pytest.approx([first[colour] for colour in COLOURS], abs=2e-6)


def rows_there(table: Path) -> int:
    if table.suffix == ".parquet":
        return sum(arrow.read_metadata(part).num_rows for part in table.glob("part-*.parquet"))
    return len(table.read_bytes().splitlines()) - (table.suffix == ".csv") if table.is_file() else 0
