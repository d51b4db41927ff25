"""From nothing to the probe's validation score, cold and warm, against the source recipe's seconds per epoch × 20."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import ROOT, arguments, demo, keras, report

SOURCE_EPOCHS = 20
SOURCE_TRAIN, SOURCE_VAL = 5803, 1451
"""Rows that the source trains and validates on in each epoch."""


def train(*settings: str) -> float:
    """Return the seconds one command takes, from start to end."""
    command = [sys.executable, str(ROOT / "scripts" / "train.py"), *settings]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--weights", default="imagenet", help="as model.weights")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        common = ["experiment=probe", f"data.cache={scratch}/cache"]
        if options.posters:
            common += [f"data.root={options.posters}"]
        else:
            common += ["data=demo", *(f"data.{name}={value}" for name, value in demo().items())]
        if options.smoke:
            common += ["model=tiny", "preprocess.height=32", "preprocess.width=32", "trainer.max_epochs=1"]
        else:
            common += [f"model.weights={options.weights}"]
        cold = train(*common, f"hydra.run.dir={run}")
        scores = json.loads((run / "scores.json").read_text())
        warm = [train(*common, f"hydra.run.dir={run}-{i}") for i in range(1 if options.smoke else 3)]
        folds = "0,1" if options.smoke else "0,1,2,3,4"
        crossvalidation = train("-m", *common, f"data.fold={folds}", f"hydra.sweep.dir={scratch}/folds")
        five = train("-m", *common, f"data.fold={folds}", f"hydra.sweep.dir={scratch}/again")
    rows = [
        ["probe, cold: look, decode, frozen layers, 10 epochs", f"{cold:,.0f} s", f"val mAP {scores['map']:.4f}"],
        ["probe again, warm", f"{statistics.median(warm):,.0f} s", f"val mAP {scores['map']:.4f}"],
        [f"{folds.count(',') + 1}-fold cross-validation after one fold", f"{crossvalidation:,.0f} s", ""],
        [f"{folds.count(',') + 1}-fold cross-validation again, warm", f"{five:,.0f} s", ""],
    ]
    if options.keras and not options.smoke:
        rate = statistics.median(keras(options, "train", "128") for _ in range(3))
        forward = keras(options, "predict", str(Path(options.posters) / "Images"), "128")
        epoch = SOURCE_TRAIN / rate + SOURCE_VAL / forward
        rows += [
            ["source recipe: one epoch", f"{epoch:,.0f} s", f"{rate:.1f} pictures/s trained, {forward:.1f} validated"],
            [
                "source recipe: 20 epochs",
                f"{epoch * SOURCE_EPOCHS:,.0f} s",
                f"{epoch * SOURCE_EPOCHS / cold:.0f} × cold",
            ],
        ]
    report(
        options,
        "From a cold start to a score",
        ["", "time", ""],
        rows,
        "Whole commands, imports included; VGG19 at 128 px.",
    )


if __name__ == "__main__":
    main()
