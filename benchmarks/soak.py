"""Hours of alternating training, prediction and served requests: memory, file handles, threads and disk must stay flat.

Training and prediction go on in this process, as in a program that embeds the package; the server is one of its own.
"""

import csv
import gc
import io
import os
import shutil
import statistics
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

from scipy.stats import theilslopes

from postergenre.data.datamodule import DataConfig
from postergenre.inference import load
from postergenre.networks import ModelConfig
from postergenre.preprocess import Preprocess
from postergenre.training import TrainConfig, TrainerConfig, train
from processes import family, memory
from report import arguments, demo, report
from serving import clients, form, save_classifier, serving

WARM = 5
"""Rounds before pools are filled and libraries loaded; they are not counted."""
FIGURES = ("memory, MB", "file handles", "threads", "server: memory, MB", "server: file handles", "server: threads",
           "disk, MB")  # fmt: skip


def used(*members: int) -> list[float]:
    """Return memory in MB, open file handles and threads of some processes together."""
    handles = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in members)
    threads = sum(len(os.listdir(f"/proc/{pid}/task")) for pid in members)
    return [memory(*members), handles, threads]


def on_disk(folder: Path) -> float:
    """Return MB of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def a_round(scratch: Path, address: str, bodies: list[bytes], paths: list[Path], number: int) -> None:
    """Train, predict with what was learnt, and let clients ask the server."""
    output = scratch / "run"
    config = TrainConfig(
        data=DataConfig(**demo(), cache=str(scratch / "cache"), batch_size=16, workers=2),  # type: ignore[arg-type]
        preprocess=Preprocess(height=48, width=32),
        model=ModelConfig(library="tiny", name="tiny", weights="none"),
        trainer=TrainerConfig(gpus="0", max_epochs=2),
        seed=number,
        output_dir=str(output),
    )
    with redirect_stdout(io.StringIO()):
        trained = train(config)
    predictor = load(trained.best)
    answers = list(predictor.predict_many([*paths, scratch / "absent.jpg"]))
    assert [bool(answer.error) for answer in answers] == [False] * len(paths) + [True]
    shutil.rmtree(output)
    seen = clients(address, [*bodies, b"--b--\r\n"], count=4, seconds=2)
    assert seen.statuses["200"] > 0


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--pause", type=float, default=0, help="seconds between rounds, to leave the machine to others")
    parser.add_argument("--log", type=Path, help="a CSV with the figures of every round")
    options = parser.parse_args()
    end = time.monotonic() + (0 if options.smoke else 60 * options.minutes)
    rows: list[list[float]] = []
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        checkpoint, paths = save_classifier(32, scratch, tiny=True, posters=None)
        bodies = [form(path.read_bytes()) for path in paths]
        with serving(checkpoint, scratch) as (server, address):
            start = time.monotonic()
            while len(rows) < WARM + 3 or time.monotonic() < end:
                a_round(scratch, address, bodies, paths, len(rows))
                gc.collect()  # Lightning's Trainer is a cycle, and what it holds open waits for this
                rows.append([time.monotonic() - start, *used(os.getpid()), *used(*family(server)), on_disk(scratch)])
                if options.log:
                    with options.log.open("a", newline="") as file:
                        csv.writer(file).writerow([f"{figure:.2f}" for figure in rows[-1]])
                time.sleep(0 if options.smoke else options.pause)
    hours, *figures = zip(*((row[0] / 3600, *row[1:]) for row in rows[WARM:]), strict=True)
    quarter = max(len(hours) // 4, 1)
    table = []
    for name, values in zip(FIGURES, figures, strict=True):
        slope = theilslopes(values, hours)
        table.append([
            name, f"{statistics.median(values[:quarter]):,.1f}", f"{statistics.median(values[-quarter:]):,.1f}",
            f"{slope.slope:+.2f} ({slope.low_slope:+.2f} … {slope.high_slope:+.2f})",
        ])  # fmt: skip
    note = (
        f"{len(rows)} rounds in {rows[-1][0] / 60:.0f} minutes, the first {WARM} not counted; medians of the first and "
        "last quarter; slope by Theil and Sen with 95 % interval. `tiny` on demo posters; 2 epochs with 2 loader "
        "processes, all posters predicted, 4 clients for 2 s, a malformed request among theirs."
    )
    report(options, "Long run", ["", "at first", "at last", "an hour"], table, note)


if __name__ == "__main__":
    main()
