"""Tables that many processes fill: the same rows as one process gives, whoever dies meanwhile."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pytest
from PIL import Image
from pyarrow import parquet

from conftest import COLOURS, ROOT, Server
from postergenre.errors import ConfigError, DataError, PartialError, ProcessError
from postergenre.inference import PredictConfig, cluster, predict, worker
from postergenre.inference.cluster import find_fleet, find_ray, joined
from postergenre.inference.resume import digests
from postergenre.inference.units import Unit, list_posters
from postergenre.inference.worker import Outcome, Work, Worker
from postergenre.training import Trained

# Ray Data sets what it has itself given up.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")

BAD = (5, 13)
"""Posters that are none."""
NUM_POSTERS = 22


@pytest.fixture
def posters(tmp_path: Path) -> Path:
    folder = tmp_path / "posters"
    folder.mkdir()
    for number in range(NUM_POSTERS):
        pixels = np.random.default_rng(number).integers(0, 256, (36, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    for number in BAD:
        (folder / f"{number:02}.png").write_bytes(b"no picture")
    return folder


def config(trained: Trained, posters: Any, output: Path, /, **settings: Any) -> PredictConfig:
    settings = {"engine": "ray", "part_rows": 6, "batch_size": 4} | settings
    return PredictConfig(
        checkpoint=str(trained.best), posters=str(posters), output=str(output), gpus="0", precision="32",
        output_dir=str(output.parent / "out"), **settings,
    )  # fmt: skip


def rows(table: Path) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = parquet.read_table(table).to_pylist()
    return read


def finish(asked: PredictConfig, *, bad: int = len(BAD), total: int = NUM_POSTERS) -> None:
    with pytest.raises(PartialError, match=f"{bad} of {total} posters could not be read"):
        predict(asked)


def assert_same(table: Path, other: Path) -> None:
    """Compare all cells; batches of other sizes add up in another order, so that the last digit may differ."""
    first, second = rows(table), rows(other)
    assert len(first) == len(second)
    for left, right in zip(first, second, strict=True):
        numbers = [[row.pop(colour) for colour in COLOURS] for row in (left, right)]
        assert left == right
        assert (numbers[0] == [None] * 3) == bool(right["error"])
        assert right["error"] or numbers[0] == pytest.approx(numbers[1], abs=2e-6)


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """One Ray for all tests: it takes seconds to start."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("no_proxy", "*")  # the workers inherit it
        with joined("local"):
            yield


def make_worker(trained: Trained, posters: Any, where: Path, **settings: Any) -> tuple[Worker, list[Unit]]:
    where.mkdir(exist_ok=True)
    asked = config(trained, posters, where)
    units = list_posters(where, asked.posters, recursive=False, column=None, rows=asked.part_rows)
    told = {
        "config": asked, "checkpoints": [trained.best], "sha256": digests([trained.best]), "where": where,
        "home": Path.cwd(), "cores": 1, "gpu": False,
    }  # fmt: skip
    return Worker(Work(**told | settings)), units


def outcome(answering: Worker, unit: Unit) -> Outcome:
    ((column,),) = [told["outcome"] for told in answering({"task": np.array([json.dumps(asdict(unit))])})]
    return Outcome(**json.loads(column))


def test_a_worker_writes_a_part_and_tells_who_failed(trained: Trained, posters: Path, tmp_path: Path) -> None:
    where = tmp_path / "x.parquet"
    answering, units = make_worker(trained, posters, where)
    told = outcome(answering, units[0])
    bad = str(posters / "05.png")
    assert told == Outcome(number=0, failed=1, told=[[bad, f"{bad} is not a picture Pillow can read"]])
    predict(config(trained, f"{posters}/0[0-4].png", tmp_path / "local.parquet", engine="local", part_rows=1024))
    written = rows(where / "part-00000.parquet")
    for row, wanted in zip(written[:5], rows(tmp_path / "local.parquet"), strict=True):
        assert (row["poster"], row["genres"], row["top"]) == (wanted["poster"], wanted["genres"], wanted["top"])
        assert [row[colour] for colour in COLOURS] == pytest.approx([wanted[colour] for colour in COLOURS], abs=2e-6)
    assert [bool(row["error"]) for row in written] == [False] * 5 + [True]
    assert sorted(path.name for path in where.glob(".*")) == []


def test_a_part_that_is_there_is_not_made_again(trained: Trained, posters: Path, tmp_path: Path) -> None:
    answering, units = make_worker(trained, posters, tmp_path / "x.parquet")
    told = [outcome(answering, units[0])]
    part = tmp_path / "x.parquet" / "part-00000.parquet"
    before = part.stat().st_mtime_ns
    told.append(outcome(answering, units[0]))
    assert [one.failed for one in told] == [1, 1]
    assert part.stat().st_mtime_ns == before


def test_a_unit_that_kills_again_and_again_is_left_out(trained: Trained, posters: Path, tmp_path: Path) -> None:
    answering, units = make_worker(trained, posters, tmp_path / "x.parquet")
    (tmp_path / "x.parquet" / ".part-00001.tries").write_bytes(b"." * (worker.DEATHS - 1))
    assert outcome(answering, units[1]) == Outcome(number=1, deaths=worker.DEATHS - 1)
    (tmp_path / "x.parquet" / ".part-00002.tries").write_bytes(b"." * worker.DEATHS)
    told = outcome(answering, units[2])
    assert told == Outcome(number=2, error=f"the processes that worked on it died, {worker.DEATHS} of them")
    assert not (tmp_path / "x.parquet" / "part-00002.parquet").exists()


def test_what_a_disk_refuses_for_a_moment_is_tried_again(
    trained: Trained, posters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = tmp_path / "a.parquet"
    parquet.write_table(arrow.table({"id": ["a"], "image": [(posters / "00.png").read_bytes()]}), shard)
    answering, (unit,) = make_worker(trained, shard, tmp_path / "x.parquet")
    kept = shard.rename(tmp_path / "kept.parquet")
    paused: list[float] = []

    def pause(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 2:
            kept.rename(shard)

    monkeypatch.setattr(worker.time, "sleep", pause)
    assert outcome(answering, unit) == Outcome(number=0)
    assert paused == [2.0, 4.0]
    assert rows(tmp_path / "x.parquet" / "part-00000.parquet")[0]["poster"] == "a"
    (tmp_path / "x.parquet" / "part-00000.parquet").unlink()
    parquet.write_table(arrow.table({"id": ["a", "b"], "image": [b"", b""]}), shard)
    assert "has changed since the run began: 2 rows, not 1" in outcome(answering, unit).error


def test_a_worker_with_another_checkpoint_answers_nothing(trained: Trained, posters: Path, tmp_path: Path) -> None:
    answering, units = make_worker(trained, posters, tmp_path / "x.parquet", sha256=["0" * 64])
    told = outcome(answering, units[0])
    assert f"the process on {socket.gethostname()} cannot begin: " in told.refusal
    assert "best.ckpt has changed since the run began" in told.refusal
    answering, units = make_worker(trained, posters, tmp_path / "x.parquet", checkpoints=[tmp_path / "gone.ckpt"])
    assert "cannot begin: no checkpoint at " in outcome(answering, units[0]).refusal
    assert not (tmp_path / "x.parquet" / "part-00000.parquet").exists()


def test_where_there_is_no_ray_its_extra_is_named(
    trained: Trained, posters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^engine=ray needs Ray Data: pip install postergenre\[scale\]$"):
        predict(config(trained, posters, tmp_path / "x.parquet"))
    assert not (tmp_path / "x.parquet").exists()


def test_a_cluster_that_does_not_answer_is_told(
    trained: Trained, posters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"  # taken, and nobody listens
        with pytest.raises(ConfigError, match=f"no Ray cluster answers at {address}: .*refused; is it running"):
            predict(config(trained, posters, tmp_path / "x.parquet", ray_address=address))
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(ConfigError, match=f"no Ray cluster answers at {address}"):
            find_ray(None)
    for wrong in ("host", "host:port", ":1", "ray://host"):
        with pytest.raises(ConfigError, match=f"ray_address takes host:port or auto, not {wrong}"):
            find_ray(wrong)
    assert not (tmp_path / "x.parquet").exists()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"engine": "spark"}, "no engine 'spark'; known: local, ray"),
        ({"output": "x.csv"}, "engine=ray writes Parquet: output must end in .parquet, not as x.csv does"),
        ({"output": None, "format": "jsonl"}, "engine=ray writes Parquet"),
        ({"sheet": True}, "annotate and sheet are drawn by engine=local only"),
        ({"engine": "local", "ray_address": "auto"}, "ray_address=auto is for engine=ray"),
        ({"part_rows": 0}, "part_rows must be at least 1, not 0"),
    ],
)
def test_settings_that_do_not_go_together_are_told(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        PredictConfig(**{"checkpoint": "x", "posters": "y", "engine": "ray", "output": "x.parquet"} | settings)


def test_without_an_output_the_table_is_parquet() -> None:
    asked = PredictConfig(checkpoint="x", posters="y", engine="ray", output_dir="out")
    assert asked.table == Path("out/predictions.parquet")


def test_a_temporary_folder_with_a_long_name_is_gone_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("deep" * 20)
    deep.mkdir()
    monkeypatch.setattr(cluster.tempfile, "tempdir", str(deep))
    folder = Path(cluster._short_folder())
    folder.rmdir()
    assert folder.parent != deep
    assert len(str(folder)) <= cluster.LONGEST_FOLDER


def test_one_poster_is_answered_without_ray_and_parquet(trained: Trained, posters: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from postergenre.inference import PredictConfig, predict; "
        "predict(PredictConfig(checkpoint=sys.argv[1], posters=sys.argv[2], gpus='0', output_dir=sys.argv[3])); "
        "print({'ray', 'pyarrow', 'pandas'} & sys.modules.keys())"
    )
    command = [sys.executable, "-c", code, str(trained.best), str(posters / "00.png"), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "tried", "told"),
    [("local", cluster.STARTS, "Ray does not start on this machine: no start"),
     ("auto", 1, "Ray does not connect to auto: no start; it asks for a token: see RAY_AUTH_MODE in .*")],
)  # fmt: skip
def test_a_ray_that_does_not_start_is_told_after_some_tries(
    address: str, tried: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cluster.QUIET.items():
        os.environ.setdefault(name, value)  # Ray reads some of it when it is imported
    import ray

    calls: list[str] = []

    def init(**settings: Any) -> None:
        calls.append(settings["address"])
        cause = None if settings["address"] == "local" else RuntimeError("…\nray.exceptions.AuthenticationError: …")
        raise Exception("no start\nand more") from cause

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(cluster.tempfile, "tempdir", "/tmp")
    before = {*Path("/tmp").glob("pg-*")}
    with pytest.raises(ProcessError, match=f"^{told}$"), joined(address):
        raise AssertionError
    assert calls == [address] * tried
    assert {*Path("/tmp").glob("pg-*")} <= before


@pytest.mark.slow
def test_ray_gives_the_rows_of_the_local_engine(
    trained: Trained, posters: Path, tmp_path: Path, ray: None, capfd: pytest.CaptureFixture[str]
) -> None:
    finish(config(trained, posters, tmp_path / "local.parquet", engine="local"))
    capfd.readouterr()
    table = tmp_path / "x.parquet"
    finish(config(trained, posters, table))
    printed = capfd.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].startswith("Ray: ")
    assert sorted(line for line in lines if "left out" in line) == [
        f"{number:02}.png: left out, {posters}/{number:02}.png is not a picture Pillow can read" for number in BAD
    ]
    assert lines[-1] == f"written: {table}"
    assert printed.err == ""
    assert_same(table, tmp_path / "local.parquet")
    assert parquet.read_schema(table / "part-00000.parquet") == parquet.read_schema(
        tmp_path / "local.parquet" / "part-00000.parquet"
    )
    shards = tmp_path / "shards"
    shards.mkdir()
    paths = sorted(posters.iterdir())
    for number in range(2):
        some = paths[number * 11 : (number + 1) * 11]
        columns = {"id": [str(path) for path in some], "image": [path.read_bytes() for path in some]}
        parquet.write_table(arrow.table(columns), shards / f"s{number}.parquet", row_group_size=4)
    finish(config(trained, shards, tmp_path / "y.parquet"))
    for row, path in zip(answers := rows(tmp_path / "y.parquet"), paths, strict=True):
        if row["error"]:  # a content has no path to tell
            row["error"] = row["error"].replace("the picture", str(path))
    columns = arrow.Table.from_pylist(answers, schema=parquet.read_schema(table / "part-00000.parquet"))
    (tmp_path / "z.parquet").mkdir()
    parquet.write_table(columns, tmp_path / "z.parquet" / "part-00000.parquet")
    assert_same(tmp_path / "z.parquet", tmp_path / "local.parquet")


@pytest.mark.slow
def test_what_is_there_is_skipped_and_what_changed_is_refused(
    trained: Trained, posters: Path, tmp_path: Path, ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "x.parquet"
    asked = config(trained, posters, table)
    finish(asked)
    wanted = rows(table)
    parts = [table / f"part-{number:05}.parquet" for number in range(4)]
    assert sorted(table.glob("*.parquet")) == parts
    parts[1].unlink()
    parts[2].write_bytes(parts[2].read_bytes()[:-9])
    (table / ".part-00001-0123.draft").write_bytes(b"half a part")
    before = [part.stat().st_mtime_ns for part in (parts[0], parts[3])]
    capsys.readouterr()
    finish(asked)
    assert f"10 of 22 posters are in {table} already" in capsys.readouterr().out
    assert [part.stat().st_mtime_ns for part in (parts[0], parts[3])] == before
    assert rows(table) == wanted
    assert [path for path in table.glob(".part*")] == []

    last = str(trained.best.with_name("last.ckpt"))
    for other, told in (
        ({"checkpoint": last}, r"x.parquet was begun with checkpoint .*best.ckpt, not as .*last.ckpt is now"),
        ({"tta": "flip"}, "was begun with tta=none, not flip"),
        ({"part_rows": 5}, "was begun with part_rows=6, not 5; give another output"),
        ({"engine": "local"}, "was begun with engine=ray, not local, part_rows=6, not None"),
        ({"posters": f"{posters}/[01]*.png"}, "number 21 is .*20.png there and no poster now"),
    ):
        with pytest.raises(DataError, match=told):
            predict(replace(asked, **other))
    (table / "own.parquet").write_bytes(b"precious")
    with pytest.raises(DataError, match=r"own.parquet is no part of this table"):
        predict(asked)
    assert (table / "own.parquet").read_bytes() == b"precious"


@pytest.mark.slow
def test_a_table_of_the_local_engine_is_not_continued_by_ray(trained: Trained, posters: Path, tmp_path: Path) -> None:
    asked = config(trained, posters / "00.png", tmp_path / "x.parquet", engine="local")
    predict(asked)
    with pytest.raises(DataError, match=r"x.parquet was begun with engine=local, not ray, part_rows=None, not 6"):
        predict(replace(asked, engine="ray"))


@pytest.mark.slow
def test_a_killed_process_loses_and_repeats_no_row(
    trained: Trained, posters: Path, tmp_path: Path, ray: None, capfd: pytest.CaptureFixture[str]
) -> None:
    with Server() as server:
        paths = [f"/{number:02}.png" for number in range(NUM_POSTERS)]
        for path in paths:
            server.pages[path] = (posters / path[1:]).read_bytes()
        (tmp_path / "list.csv").write_text("poster\n" + "\n".join(server.address + path for path in paths))
        stop = paths[8]  # in the middle of the second part
        server.held[stop] = threading.Event()
        killed: list[int] = []

        def kill() -> None:
            deadline = time.monotonic() + 300
            while stop not in server.asked and time.monotonic() < deadline:
                time.sleep(0.02)
            for process in answering():
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)
            server.held.pop(stop).set()

        thread = threading.Thread(target=kill)
        thread.start()
        finish(config(trained, tmp_path / "list.csv", tmp_path / "x.parquet", column="poster"))
        thread.join()
        assert killed
        printed = capfd.readouterr()
        assert "part-00001.parquet took another try: a process died over it" in printed.out
        assert "raylet" not in printed.out + printed.err
        assert server.asked.count(stop) == 2  # by the process that was killed, and by another
        local = config(trained, tmp_path / "list.csv", tmp_path / "y.parquet", column="poster", engine="local")
        finish(local)
    assert_same(tmp_path / "x.parquet", tmp_path / "y.parquet")


def answering() -> list[int]:
    """Return the processes of Ray's that work on units; each has the class it holds in its title."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"ray::MapWorker" in (place / "cmdline").read_bytes() and descends(int(place.name), os.getpid()):
                found.append(int(place.name))
    return found


def descends(process: int, ancestor: int) -> bool:
    while process > 1 and process != ancestor:
        stat = Path(f"/proc/{process}/stat").read_text()
        process = int(stat.rpartition(")")[2].split()[1])
    return process == ancestor


@pytest.mark.slow
def test_a_part_that_cannot_be_made_is_told_and_the_others_are_written(
    trained: Trained, posters: Path, tmp_path: Path, ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = tmp_path / "a.parquet"
    content = (posters / "00.png").read_bytes()
    contents = [content + os.urandom(4096) for _ in range(12)]
    columns = arrow.table({"id": [str(number) for number in range(12)], "image": contents})
    parquet.write_table(columns, shard, row_group_size=6, compression="none", use_dictionary=False)
    place = shard.read_bytes().find(contents[6])
    with shard.open("r+b") as file:
        file.seek(place - 60)
        file.write(b"\xff" * 64)  # the head of the second row group's page
    with pytest.raises(PartialError, match=r"1 of 2 parts of .*x.parquet could not be made: cannot read .*a.parquet"):
        predict(config(trained, shard, tmp_path / "x.parquet"))
    assert "part-00001.parquet is not made: cannot read" in capsys.readouterr().out
    assert [row["poster"] for row in rows(tmp_path / "x.parquet")] == [str(number) for number in range(6)]


@pytest.mark.slow
def test_more_gpus_than_there_are_is_told(ray: None) -> None:
    with pytest.raises(ConfigError, match=r"gpus=64, but the Ray cluster has \w+; write gpus=auto"):
        find_fleet("64")
    with pytest.raises(ConfigError, match="gpus takes auto, 0 or a number of GPUs, not 'two'"):
        find_fleet("two")
    here = find_fleet("0")
    assert (here.actors, here.cores, here.gpus) == (os.cpu_count(), 1, 0)


@pytest.mark.slow
def test_ctrl_c_ends_ray_too_and_the_run_goes_on_later(trained: Trained, posters: Path, tmp_path: Path) -> None:
    with Server() as server:
        paths = [f"/{number:02}.png" for number in range(NUM_POSTERS)]
        for path in paths:
            server.pages[path] = (posters / path[1:]).read_bytes()
        (tmp_path / "list.csv").write_text("poster\n" + "\n".join(server.address + path for path in paths))
        server.held[paths[20]] = threading.Event()
        table = tmp_path / "x.parquet"
        command = [
            sys.executable, str(ROOT / "scripts/predict.py"), f"checkpoint={trained.best}", "engine=ray", "part_rows=6",
            f"posters={tmp_path}/list.csv", "column=poster", f"output={table}", f"hydra.run.dir={tmp_path}/out",
            "gpus=0",
        ]  # fmt: skip
        run = subprocess.Popen(
            command, env=os.environ | {"no_proxy": "*"}, start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests may run where it is ignored
        )  # fmt: skip
        deadline = time.monotonic() + 400
        while paths[20] not in server.asked or len([*table.glob("part-*")]) < 3:
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does, to all processes
        printed, _ = run.communicate(timeout=240)
        server.held.pop(paths[20]).set()
    assert run.returncode == 130
    assert printed.splitlines()[-1] == (
        f"error: stopped; the parts that were complete are in {table}, and the same command goes on with them"
    )
    assert not [path for path in Path("/proc").glob("[0-9]*") if in_session(path, run.pid)]
    # On a slow machine the last part may be complete before another, without the poster that its server held too long.
    kept = {row["poster"]: row["error"] is None for row in rows(table)}
    parts = [[server.address + path for path in paths[start : start + 6]] for start in range(0, NUM_POSTERS, 6)]
    complete = [part for part in parts if not kept.keys().isdisjoint(part)]
    assert len(complete) >= 3
    assert [*kept] == [poster for part in complete for poster in part]
    for poster, is_kept in kept.items():
        number = int(Path(poster).stem)
        assert is_kept == (number not in {*BAD, 20})


def in_session(place: Path, session: int) -> bool:
    with suppress(OSError):
        fields = (place / "stat").read_text().rpartition(")")[2].split()
        return fields[0] != "Z" and int(fields[3]) == session
    return False
