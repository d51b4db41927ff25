"""Ctrl-C and SIGTERM, for every verb: one line, exit status 130 or 143, nothing torn, no process left."""

import ctypes
import functools
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from pytorch_lightning import Trainer

from conftest import ROOT, Server, read_csv, small_config
from postergenre.classifier.contract import read_checkpoint
from postergenre.config import reported
from postergenre.crossvalidation import CrossvalidateConfig, crossvalidate
from postergenre.errors import StoppedError
from postergenre.inference import PredictConfig, predict
from postergenre.stopping import Terminated, status, stops_told, terminable
from postergenre.training import TrainConfig, Trained, train
from postergenre.training.stops import Stops

MakeConfig = Callable[[], TrainConfig]
SMALL = [
    "model=tiny", "data.workers=0", "data.min_positives=5", "data.batch_size=16", "preprocess.height=32",
    "preprocess.width=24", "model.hidden=16", "trainer.gpus=0", "trainer.precision=32",
]  # fmt: skip
AGAIN = "error: stopped before it was done; the same command begins again"


def start(script: str, *arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """Start a script in a session of its own, in which Ctrl-C is heard even where this one began in the background."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments], cwd=cwd, text=True,
        env=os.environ | {"no_proxy": "*"}, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def told(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """Return the one line that a stopped script says, after checking its status and that it left no process."""
    printed, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + number, printed + errors
    lines = errors.splitlines()
    assert len(lines) == 1, errors
    deadline = time.monotonic() + 20  # Python's own tracker of shared memory ends when it sees that nobody is left
    while any(in_session(place, process.pid) for place in Path("/proc").glob("[0-9]*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return lines[0]


def in_session(place: Path, session: int) -> bool:
    with suppress(OSError):
        fields = (place / "stat").read_text().rpartition(")")[2].split()
        return fields[0] != "Z" and int(fields[3]) == session
    return False


@contextmanager
def opened(path: Path) -> Iterator[Callable[[float], bool]]:
    """Yield what waits so many seconds for the file to be opened, by whomever, and returns whether it was."""
    libc = ctypes.CDLL(None)
    watch = libc.inotify_init()
    try:
        assert libc.inotify_add_watch(watch, os.fsencode(path), 0x20) >= 0  # IN_OPEN
        yield lambda seconds: bool(select.select([watch], [], [], seconds)[0])
    finally:
        os.close(watch)


DATA = ("train", "crossvalidate", "sweep", "audit", "shard", "evaluate", "export")


@pytest.mark.slow
@pytest.mark.parametrize("verb", DATA)
def test_a_verb_that_reads_a_poster_set_is_stopped_in_a_line(
    verb: str, trained: Trained, colour_posters: Path, tmp_path: Path
) -> None:
    """It is held where it would write down what it learnt of the pictures, which waits for others that do so."""
    number = (signal.SIGTERM, signal.SIGINT)[DATA.index(verb) % 2]
    what = {
        "audit": ["data.min_positives=5"], "shard": [f"output={tmp_path / 'shards'}"],
        "evaluate": [f"checkpoint={trained.best}"], "export": [f"checkpoint={trained.best}"],
    }.get(verb, SMALL)  # fmt: skip
    lock = tmp_path / "cache" / "scans" / f"{sha256(str(colour_posters / 'Images').encode()).hexdigest()[:16]}.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock), opened(lock) as tried:
        data = [f"data.root={colour_posters}", f"data.cache={tmp_path / 'cache'}", "hydra.run.dir=out"]
        process = start(verb, *what, *data, cwd=tmp_path)
        try:
            while not tried(0.1):
                assert process.poll() is None, process.communicate()
            os.killpg(process.pid, number)
            assert told(process, number) == AGAIN
        finally:
            process.kill()
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert not {name for name in left if "draft" in name or name.endswith((".html", ".onnx", ".ckpt", ".parquet"))}


@pytest.mark.slow
def test_explaining_is_stopped_in_a_line(trained: Trained, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "poster.jpg")
    process = start("explain", f"checkpoint={trained.best}", "poster=poster.jpg", "hydra.run.dir=out", cwd=tmp_path)
    try:
        with (tmp_path / "poster.jpg").open("wb"):  # waits for who reads
            os.killpg(process.pid, signal.SIGTERM)
            assert told(process, signal.SIGTERM) == AGAIN
    finally:
        process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
def test_a_prediction_that_is_stopped_keeps_its_rows_and_goes_on(
    name: str, trained: Trained, colour_posters: Path, tmp_path: Path
) -> None:
    pages = [f"/{number}.jpg" for number in range(12)]
    with Server() as server:
        for number, page in enumerate(pages):
            server.pages[page] = (colour_posters / "Images" / f"c{number:03}.jpg").read_bytes()
        server.held[pages[9]] = threading.Event()
        (tmp_path / "list.csv").write_text("poster\n" + "\n".join(server.address + page for page in pages))
        command = [f"checkpoint={trained.best}", "posters=list.csv", "column=poster", f"output={name}", "gpus=0",
                   "precision=32", "batch_size=4", "hydra.run.dir=out"]  # fmt: skip
        process = start("predict", *command, cwd=tmp_path)
        assert process.stdout is not None
        while "/7.jpg: " not in process.stdout.readline():
            assert process.poll() is None, process.communicate()
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.2)
        server.held.pop(pages[9]).set()  # a download that has begun is waited for
        line = told(process, signal.SIGINT)
        assert line == f"error: stopped; what was answered is in {name}, the same command goes on with it"
        again = start("predict", *command, cwd=tmp_path)
        printed, errors = again.communicate(timeout=300)
    assert again.returncode == 0, errors
    assert f"8 of 12 posters are in {name} already" in printed


@pytest.mark.slow
@pytest.mark.parametrize(("number", "processes"), [(signal.SIGTERM, 1), (signal.SIGINT, 2)])
def test_training_that_is_stopped_keeps_a_checkpoint_and_says_where(
    number: signal.Signals, processes: int, colour_posters: Path, tmp_path: Path
) -> None:
    """Ctrl-C reaches the whole group, as in a terminal; SIGTERM the script alone, as from a scheduler."""
    common = [f"data.root={colour_posters}", f"data.cache={tmp_path / 'cache'}", *SMALL, "hydra.run.dir=run",
              f"trainer.processes={processes}", "trainer.max_epochs=100000"]  # fmt: skip
    process = start("train", *common, cwd=tmp_path)
    try:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("epoch   2"):
            assert process.poll() is None, process.communicate()
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        line = told(process, number)
    finally:
        process.kill()
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    checkpoint, _ = read_checkpoint(last)
    assert line == (
        f"error: stopped in epoch {checkpoint['epoch'] + 1}, after step {checkpoint['global_step']}; the same command "
        f"with resume={last} goes on from there"
    )
    assert sorted(path.name for path in last.parent.iterdir()) == ["best.ckpt", "last.ckpt"]
    config = small_config(colour_posters, tmp_path / "rest")
    config.resume, config.trainer.processes = str(last), str(processes)
    config.trainer.max_epochs = checkpoint["epoch"] + 2
    rest, _ = read_checkpoint(train(config).last)
    assert rest["global_step"] > checkpoint["global_step"]


def stopping(monkeypatch: pytest.MonkeyPatch, *, step: int, number: signal.Signals, times: int = 1) -> None:
    """Let a signal come in the middle of a step of training."""
    hook, told = Stops.on_train_batch_end, []

    def on_train_batch_end(self: Stops, trainer: Trainer, *others: Any) -> None:
        if trainer.global_step == step and len(told) < times:
            told.extend(times * [step])
            for _ in range(times):
                os.kill(os.getpid(), number)
        hook(self, trainer, *others)

    monkeypatch.setattr(Stops, "on_train_batch_end", on_train_batch_end)


def test_the_step_after_a_stop_is_the_one_that_would_have_come(
    colour_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def config(folder: str) -> TrainConfig:
        made = colour_config()
        made.output_dir, made.model.dropout, made.trainer.max_epochs = str(tmp_path / folder), 0.5, 3
        return made

    whole = train(config("whole"))
    before = signal.getsignal(signal.SIGTERM)
    stopping(monkeypatch, step=8, number=signal.SIGTERM)  # the second of six in the second epoch
    with pytest.raises(StoppedError, match=r"^stopped in epoch 2, after step 8; the same command with") as stop:
        train(config("cut"))
    assert stop.value.status == 143
    assert signal.getsignal(signal.SIGTERM) is before
    rest = config("cut")
    rest.resume = str(tmp_path / "cut" / "checkpoints" / "last.ckpt")
    last, wanted = (read_checkpoint(run.last)[0]["state_dict"] for run in (train(rest), whole))
    assert all(torch.equal(last[name], value) for name, value in wanted.items())
    first, second = (tmp_path / folder / "metrics.csv" for folder in ("whole", "cut"))
    assert first.read_bytes() == second.read_bytes()


def test_a_second_signal_does_not_wait(colour_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping(monkeypatch, step=2, number=signal.SIGTERM, times=2)
    config = colour_config()
    with pytest.raises(StoppedError, match="stopped at once"):
        train(config)
    assert not (Path(config.output_dir) / "checkpoints" / "last.ckpt").exists()


def test_what_is_ignored_stays_ignored(colour_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """As under ``nohup``, or in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        stopping(monkeypatch, step=2, number=signal.SIGINT)
        config = colour_config()
        config.trainer.max_epochs = 1
        assert train(config).score > 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_stop_in_the_last_epoch_after_its_last_step_changes_nothing(
    colour_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = colour_config()
    config.trainer.max_epochs = 1
    stopping(monkeypatch, step=6, number=signal.SIGTERM)
    assert (Path(train(config).best).parents[1] / "scores.json").is_file()


def test_a_stop_while_the_head_learns_is_no_checkpoint_to_resume(
    colour_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = colour_config()
    config.head_epochs = 2
    stopping(monkeypatch, step=2, number=signal.SIGTERM)
    with pytest.raises(StoppedError, match=r"^stopped while the head learnt; the same command begins again$"):
        train(config)


def test_folds_that_were_finished_are_kept(
    colour_posters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = small_config(colour_posters, tmp_path)
    base.trainer.max_epochs = 1
    settings = {name: getattr(base, name) for name in TrainConfig.__dataclass_fields__}
    config = CrossvalidateConfig(**settings, folds=[0, 1])
    fold = []
    hook = Stops.on_train_start

    def on_train_start(self: Stops, *others: Any) -> None:
        hook(self, *others)
        fold.append(len(fold))
        if len(fold) == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Stops, "on_train_start", on_train_start)
    with pytest.raises(StoppedError, match=r"^stopped in fold 1; those before it are kept, and the same command with"):
        crossvalidate(config)
    crossvalidate(config)
    assert fold == [0, 1, 2]  # the first was not trained again


def test_sigterm_is_as_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated) as stop, terminable():
        os.kill(os.getpid(), signal.SIGTERM)
    assert (status(stop.value), status(KeyboardInterrupt())) == (143, 130)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_stop_does_not_come_where_a_lock_would_be_held_for_ever() -> None:
    """Python's own handler raises between the taking of a condition's lock and its ``with``: who waits then hangs."""
    given_back: list[bool] = []

    class Lock:
        acquire = release = None
        # Right after it was taken; not Ctrl-C, which is ignored where tests began in the background.
        __enter__ = functools.partial(signal.raise_signal, signal.SIGTERM)

        def __exit__(self, *error: object) -> None:
            given_back.append(True)

    with terminable(), pytest.raises(Terminated), threading.Condition(Lock()):  # type: ignore[arg-type]
        time.sleep(10)
    assert given_back == [True]


def test_what_breaks_after_a_stop_is_part_of_it() -> None:
    def breaks() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            raise ValueError("the owner is unknown")

    with pytest.raises(Terminated), terminable():
        breaks()
    with pytest.raises(ValueError, match="unknown"), terminable():
        raise ValueError("unknown")
    with pytest.raises(StoppedError, match="it is kept"), terminable(), stops_told("it is kept"):
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("problem", "code", "line"),
    [
        (KeyboardInterrupt(), 130, AGAIN),
        (Terminated(), 143, AGAIN),
        (StoppedError("stopped; it is kept", status=143), 143, "error: stopped; it is kept"),
        (OSError(28, "No space left", "a/b.csv"), 1, "error: cannot read or write a/b.csv: No space left"),
        (OSError(30, "Read-only file system"), 1, "error: cannot read or write a file: Read-only file system"),
    ],
)
def test_what_ends_a_script_is_a_line_and_a_status(
    problem: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, reported():
        raise problem
    assert end.value.code == code
    assert capsys.readouterr().err == line + "\n"


def test_a_file_that_is_not_where_we_left_it_is_a_bug() -> None:
    with pytest.raises(FileNotFoundError), reported():
        Path("/nowhere/at/all").read_bytes()


def test_prediction_tells_what_is_answered(
    trained: Trained, colour_posters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    config = PredictConfig(
        checkpoint=str(trained.best), posters=str(colour_posters / "Images"), output=str(tmp_path / "x.csv"), gpus="0",
        batch_size=16, output_dir=str(tmp_path / "out"),
    )  # fmt: skip
    with monkeypatch.context() as patched:
        patched.setattr("postergenre.inference.telling.Teller.advance", interrupted)
        with pytest.raises(StoppedError, match=r"^stopped; what was answered is in .*x.csv, the same command goes on"):
            predict(config)
    assert len(read_csv(tmp_path / "x.csv")) == 1
    predict(config)
    assert len(read_csv(tmp_path / "x.csv")) == 120
