"""Peak memory of training as the number of posters grows, and the start-up time of each script."""

import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from postergenre.preprocess import Preprocess
from report import ROOT, arguments, poster_data, report, spread

PREDICT_BASE = """
import sys, torch
from torch import nn
sizes = [3, 64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512, 0]
with torch.device("meta"):
    layers, last = [], 3
    for size in sizes[1:]:
        layers += [nn.Conv2d(last, size, 3, padding=1), nn.ReLU()] if size else [nn.MaxPool2d(2)]
        last = size or last
    network = nn.Sequential(*layers)
network.to_empty(device="cpu").eval()
with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
    network(torch.zeros(1, 3, 128, 128))
"""


def copies(source: list[Path], labels: list[tuple[str, ...]], genres: tuple[str, ...], root: Path, times: int) -> None:
    """Write a poster set of every poster ``times`` over, each copy a link with an id of its own."""
    (root / "Images").mkdir(parents=True)
    with (root / "train.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["Id", "Genre", *genres])
        for copy in range(times):
            for path, names in zip(source, labels, strict=True):
                name = f"{path.stem}x{copy}"
                (root / "Images" / f"{name}.jpg").symlink_to(path.absolute())
                table.writerow([name, str(list(names)), *(int(genre in names) for genre in genres)])


def peak(root: Path, scratch: Path, *settings: str) -> float:
    """Return the peak resident megabytes of a training command."""
    command = [
        sys.executable, str(ROOT / "scripts" / "train.py"), f"data.root={root}", f"data.cache={scratch / 'cache'}",
        "trainer.max_epochs=1", "trainer.limit_train_batches=20", "trainer.limit_val_batches=4", "trainer.gpus=0",
        "data.min_positives=1", f"hydra.run.dir={scratch / 'run'}", *settings,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"training ended with status {process.returncode}")
    return usage.ru_maxrss / 1024


def seconds(command: list[str], times: int) -> list[float]:
    values = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        values.append(time.perf_counter() - start)
    return values


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4, 16], help="copies of each poster")
    options = parser.parse_args()
    times, repeats = ([1, 2], 1) if options.smoke else (options.times, 5)
    model = ["model=tiny", "preprocess.height=32", "preprocess.width=32"] if options.smoke else [
        "model=vgg19", "model.weights=none", "preprocess.height=64", "preprocess.width=64",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        data = poster_data(options, Preprocess(), cache=f"{scratch}/cache", ignore_genres=[])
        assert data.manifest is not None
        source = [path.resolve() for path in data.manifest.paths]
        peaks = {}
        for number in times:
            copies(source, data.manifest.labels, data.manifest.genres, scratch / f"x{number}", number)
            first = peak(scratch / f"x{number}", scratch, *model)  # looks at each poster, and decodes it
            peaks[number] = (first, peak(scratch / f"x{number}", scratch, *model))
        base = peaks[times[0]]
        rows = [
            [
                f"{number} × {len(source):,} posters",
                f"{a:,.0f} MB",
                f"{a / base[0]:.3f}",
                f"{b:,.0f} MB",
                f"{b / base[1]:.3f}",
            ]
            for number, (a, b) in peaks.items()
        ]
        report(options, "Peak memory of training", ["posters", "first run", "÷ 1 ×", "second run", "÷ 1 ×"], rows,
               f"{' '.join(model)}, 20 steps; copies are links under their own ids; the first run looks at and decodes "
               "every poster, the second finds that done.")  # fmt: skip
        checkpoint = scratch / "run" / "checkpoints" / "best.ckpt"
        poster = str(source[0])
        commands = {
            "import torch + one VGG19 forward pass": [sys.executable, "-c", PREDICT_BASE],
            "predict.py on one poster": [
                sys.executable, str(ROOT / "scripts/predict.py"), f"checkpoint={checkpoint}", f"posters={poster}",
                f"hydra.run.dir={scratch}/predict",
            ],
            "evaluate.py --help": [sys.executable, str(ROOT / "scripts/evaluate.py"), "--help"],
            "train.py --help": [sys.executable, str(ROOT / "scripts/train.py"), "--help"],
        }  # fmt: skip
        for command in commands.values():  # once to warm the page cache
            subprocess.run(command, check=True, capture_output=True)
        figures: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(repeats):
            for name, command in commands.items():
                figures[name] += seconds(command, 1)
        least = statistics.median(figures["import torch + one VGG19 forward pass"])
        rows = [[name, f"{spread(v, 2)} s", f"{statistics.median(v) / least:.2f}"] for name, v in figures.items()]
        report(options, "Start-up", ["command", "median (min … max)", "÷ the first"], rows, f"{os.cpu_count()} cores.")


if __name__ == "__main__":
    main()
