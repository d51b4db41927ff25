"""Many posters through ``predict engine=local`` and ``engine=ray``: rate, peak memory, and a process that is killed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pyarrow import parquet

from processes import cpu_seconds, family, memory
from report import ROOT, arguments, report
from scaling import draw

LOOK = 0.5
"""Seconds between two looks at the memory."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run of ``scripts/predict.py`` took."""

    seconds: float
    megabytes: float
    """At its peak, all processes together; what they share counts once (PSS)."""
    cpu: float
    """Seconds of a core, all processes together: what other work on the machine disturbs least."""
    killed: bool


def predict(
    engine: str, checkpoint: Path, posters: Path, table: Path, *, threads: int | None = None, kill: bool = False
) -> Run:
    """Return what a run took that is checked to answer each poster once; ``kill`` one of its workers on the way."""
    limited = {"OMP_NUM_THREADS": str(threads)} if threads and engine == "local" else {}
    command = [
        sys.executable, str(ROOT / "scripts" / "predict.py"), f"checkpoint={checkpoint}", f"posters={posters}",
        f"engine={engine}", f"output={table}", "gpus=0", f"hydra.run.dir={table.parent / 'run'}",
    ]  # fmt: skip
    peak, killed = 0.0, False
    cpu: dict[int, float] = {}
    start = time.perf_counter()
    with subprocess.Popen(command, env=os.environ | limited, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, memory(*family(process.pid)))
            cpu |= cpu_seconds(process.pid)
            if kill and not killed and any(table.glob("part-*")):
                killed = kill_one(process.pid)
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"predict engine={engine} ended with status {process.returncode}")
    answered = Counter(parquet.read_table(table, columns=["poster"])["poster"].to_pylist())
    assert answered == Counter(str(path) for path in posters.iterdir())
    return Run(seconds=seconds, megabytes=peak, cpu=sum(cpu.values()), killed=killed)


def kill_one(process: int) -> bool:
    """Kill one of Ray's processes that answer, and return whether there was one."""
    for one in family(process):
        with suppress(OSError):
            if b"ray::MapWorker" in Path(f"/proc/{one}/cmdline").read_bytes():
                os.kill(one, signal.SIGKILL)
                return True
    return False


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument(
        "--threads", type=int, help="of the local engine; on a busy machine several lose time waiting for each other"
    )
    parser.add_argument("--checkpoint", type=Path, help="instead of one that is trained for a moment first")
    options = parser.parse_args()
    counts = [40] if options.smoke else options.counts
    runs: dict[tuple[int, str], list[Run]] = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        checkpoint = options.checkpoint or train(scratch)
        for count in counts:
            draw(scratch / f"{count}", count)
        # The engines take turns; the largest number, which takes longest, has one.
        for count in counts:
            for turn in range(1 if options.smoke or count == max(counts) else options.rounds):
                for engine in ("local", "ray"):
                    table = scratch / f"{engine}-{count}-{turn}.parquet"
                    posters = scratch / f"{count}" / "Images"
                    run = predict(engine, checkpoint, posters, table, threads=options.threads)
                    runs.setdefault((count, engine), []).append(run)
                    print(count, engine, run, file=sys.stderr, flush=True)
        table = scratch / "killed.parquet"
        run = predict("ray", checkpoint, scratch / f"{counts[0]}" / "Images", table, kill=True)
        assert run.killed or options.smoke  # so few posters are one part
        runs[counts[0], "ray, one process killed"] = [run]
    rows = []
    for (count, engine), some in runs.items():
        middle = sorted(some, key=lambda run: run.seconds)[len(some) // 2]
        local = sorted(run.seconds for run in runs[count, "local"])[len(runs[count, "local"]) // 2]
        rows.append(
            [f"{count:,}, {engine}", f"{middle.seconds:,.1f} s", f"{count / middle.seconds:,.0f}",
             f"{local / middle.seconds:.2f}", f"{middle.cpu:,.1f} s", f"{max(run.megabytes for run in some):,.0f} MB"]
        )  # fmt: skip
    if len(counts) > 1:
        few, many = min(counts), max(counts)
        further = {
            engine: (many - few) / (runs[many, engine][0].seconds - min(run.seconds for run in runs[few, engine]))
            for engine in ("local", "ray")
        }
        rows += [
            [f"each further, {engine}", "", f"{rate:,.0f}", f"{rate / further['local']:.2f}", "", ""]
            for engine, rate in further.items()
        ]
    report(
        options,
        "Prediction on Ray Data",
        ["posters, engine", "time", "posters a second", "÷ local", "of a core", "peak memory"],
        rows,
        "`tiny` at 64 × 48 px on drawn posters of 48 × 72 pixels, start and end included; memory of all processes, "
        f"looked at every {LOOK:g} s. Each run is checked to answer every poster once, also that in which a process is "
        f"killed after the first part. {os.cpu_count()} cores; local threads: {options.threads or 'all'}.",
    )


def train(scratch: Path) -> Path:
    """Return the checkpoint of a network that has seen demo posters once."""
    command = [
        sys.executable, str(ROOT / "scripts" / "train.py"), "data=demo", f"data.root={scratch / 'demo'}",
        f"data.cache={scratch / 'cache'}", "data.num_demo_posters=60", "data.min_positives=3", "model=tiny",
        "preprocess.height=64", "preprocess.width=48", "trainer.max_epochs=1", "trainer.gpus=0",
        f"hydra.run.dir={scratch / 'train'}",
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return scratch / "train" / "checkpoints" / "best.ckpt"


if __name__ == "__main__":
    main()
