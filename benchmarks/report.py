"""What every benchmark needs: medians with their spread, a table, and a section at the end of RESULTS.md."""

import argparse
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

import torch

from postergenre.data.datamodule import DataConfig, PosterData
from postergenre.preprocess import Preprocess

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "RESULTS.md"


def arguments(description: str) -> argparse.ArgumentParser:
    """Return the options that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--posters", help="folder of a poster set; without it, demo posters are drawn")
    parser.add_argument("--smoke", action="store_true", help="smallest size: shows that it runs, measures nothing")
    parser.add_argument("--record", action="store_true", help="append the table to benchmarks/RESULTS.md")
    parser.add_argument("--keras", help="a python that has TensorFlow, to measure the source project beside ours")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    return parser


def poster_data(options: argparse.Namespace, preprocess: Preprocess, *, cache: str, **settings: object) -> PosterData:
    """Return the posters to measure on, set up: the given ones, or a few demo posters."""
    source = {"root": options.posters} if options.posters else demo()
    config = DataConfig(**{"cache": cache, **source, **settings})  # type: ignore[arg-type]
    data = PosterData(config, preprocess)
    data.prepare_data()
    data.setup()
    return data


def demo() -> dict[str, object]:
    """Return the settings of a small demo set, drawn once per machine."""
    root = Path(tempfile.gettempdir()) / "postergenre-demo"
    return {"source": "demo", "root": str(root), "num_demo_posters": 60, "min_positives": 3}


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return ``median (min … max)``."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} … {max(values):,.{digits}f})"


def alternated(sides: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return each side's figures; the sides take turns, so that what slows the machine slows both."""
    figures: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, measure in sides.items():
            figures[name].append(measure())
    return figures


def keras(options: argparse.Namespace, *arguments: str) -> float:
    """Return the figure that the source project's Keras code gives in a process of its own."""
    command = [options.keras, str(ROOT / "benchmarks" / "keras_source.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])


def report(
    options: argparse.Namespace, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str = ""
) -> None:
    """Print a table and, with ``--record``, append it to RESULTS.md with machine, versions, date and command."""
    lines = [f"## {title}", "", f"| {' | '.join(columns)} |", f"| --- |{' ---: |' * (len(columns) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    lines += [
        "",
        *([note, ""] if note else []),
        f"{date.today()} · {machine()}  ",
        f"`python {shlex.join(sys.argv)}`",
        "",
    ]
    print("\n".join(lines))
    if options.record and not options.smoke:
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write("\n" + "\n".join(lines))


def machine() -> str:
    """Return processor or GPU, cores and versions."""
    cpu = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine())
    gpu = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""
    names = ("torch", "torchvision", "pillow", "simplejpeg")
    return f"{gpu}{cpu}, {torch.get_num_threads()} threads, Python {platform.python_version()}, " + ", ".join(
        f"{name} {version(name)}" for name in names
    )


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.is_file() else []
