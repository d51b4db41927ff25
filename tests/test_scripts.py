"""The commands people type, as people type them."""

import csv
import html
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import ROOT, read_csv
from postergenre.training import Trained

REAL = ROOT.parent / "shared" / "posters"
SMALL = [
    "model=tiny", "data.workers=0", "data.min_positives=5", "data.batch_size=16", "preprocess.height=32",
    "preprocess.width=24", "trainer.max_epochs=2", "trainer.gpus=0",
]  # fmt: skip


def run(script: str, *arguments: str, cwd: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a script in an empty folder and return what it printed; an unexpected exit status fails the test."""
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    return done


@pytest.mark.slow
def test_demo_posters_are_learnt_evaluated_and_predicted(tmp_path: Path) -> None:
    """The whole path of a newcomer, on the demo posters, in its smallest size."""
    run(
        "train", "data=demo", "model=tiny", "data.num_demo_posters=240", "data.min_positives=10", "trainer.gpus=0",
        "preprocess.height=96", "preprocess.width=64", "trainer.max_epochs=6", "hydra.run.dir=run",
        f"data.cache={tmp_path / 'cache'}", cwd=tmp_path,
    )  # fmt: skip
    trained = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert trained["map"] > 1.5 * trained["map_prior"]
    evaluated = run(
        "evaluate", "checkpoint=run/checkpoints/best.ckpt", "split=val", "hydra.run.dir=scores", cwd=tmp_path
    )
    assert "knowing nothing" in evaluated.stdout
    report = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert report["scores"] == pytest.approx(trained, abs=1e-6)
    predicted = run(
        "predict", "checkpoint=run/checkpoints/best.ckpt", "posters=data/demo/240/Images/demo000*.jpg", "annotate=true",
        "hydra.run.dir=answers", cwd=tmp_path,
    )  # fmt: skip
    assert predicted.stdout.count("%") == 3 * len(read_csv(tmp_path / "answers" / "predictions.csv"))
    assert len(list((tmp_path / "answers" / "annotated").iterdir())) > 5


@pytest.mark.slow
def test_a_sweep_leaves_one_table(colour_posters: Path, tmp_path: Path) -> None:
    done = run(
        "train", "-m", f"data.root={colour_posters}", *SMALL, "optim.lr=1e-2,1e-9", "model.hidden=8,16",
        f"data.cache={tmp_path}", "hydra.sweep.dir=sweep", cwd=tmp_path,
    )  # fmt: skip
    rows = read_csv(tmp_path / "sweep" / "sweep.csv")
    assert len(rows) == 4
    assert {(row["optim.lr"], row["model.hidden"]) for row in rows} == {
        ("0.01", "8"), ("0.01", "16"), ("1e-09", "8"), ("1e-09", "16"),
    }  # fmt: skip
    scores = [float(row["val/map"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert rows[0]["optim.lr"] == "0.01"
    assert "the best again: python scripts/train.py" in done.stdout


@pytest.mark.slow
def test_a_failed_run_is_marked_and_the_others_go_on(colour_posters: Path, tmp_path: Path) -> None:
    done = run(
        "train", "-m", f"data.root={colour_posters}", *SMALL, "model.freeze=stage9,none", f"data.cache={tmp_path}",
        "hydra.sweep.dir=sweep", cwd=tmp_path, status=1,
    )  # fmt: skip
    assert [(row["status"], row["model.freeze"]) for row in read_csv(tmp_path / "sweep" / "sweep.csv")] == [
        ("finished", "none"), ("failed", "stage9"),
    ]  # fmt: skip
    assert "error: no stage 'stage9' to freeze" in done.stderr
    assert "error: 1 of 2 runs failed" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
        ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=5", "hydra.launcher.submitit_folder=jobs"],
    ],
    ids=["joblib", "submitit"],
)
def test_launchers_leave_the_same_table(colour_posters: Path, tmp_path: Path, launcher: list[str]) -> None:
    """Runs beside each other, one of which fails, in processes that these launchers start."""
    done = run(
        "train", "-m", *launcher, f"data.root={colour_posters}", *SMALL, "model.freeze=stage9,none",
        f"data.cache={tmp_path / 'cache'}", f"hydra.sweep.dir={tmp_path / 'sweep'}", cwd=tmp_path, status=1,
    )  # fmt: skip
    rows = read_csv(tmp_path / "sweep" / "sweep.csv")
    assert [(row["status"], row["model.freeze"]) for row in rows] == [("finished", "none"), ("failed", "stage9")]
    assert float(rows[0]["val/map"]) > 0
    assert "no stage 'stage9' to freeze" in rows[-1]["error"]
    assert "1 of 2 runs failed" in done.stderr


@pytest.mark.slow
def test_posters_that_are_not_there_are_explained_in_one_line(tmp_path: Path) -> None:
    done = run("train", cwd=tmp_path, status=1)
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: no posters at data/posters: put a poster CSV (train.csv)")
    assert "data.root=FOLDER" in done.stderr
    assert "data=demo" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_told_with_what_to_write_instead(tmp_path: Path) -> None:
    done = run("train", "data=demo", "trainer.gpus=1", cwd=tmp_path, status=1)
    assert done.stderr.startswith("error: trainer.gpus=1, but torch")
    assert "finds no CUDA GPU here; write trainer.gpus=0 or trainer.gpus=auto" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "arguments", "setting"),
    [("train", [], "hydra.run.dir"), ("predict", ["checkpoint=x", "posters=x"], "hydra.run.dir"),
     ("train", ["-m", "seed=1,2"], "hydra.sweep.dir")],
)  # fmt: skip
@pytest.mark.parametrize("folder", ["/proc", "/proc/new"])
def test_a_run_whose_folder_cannot_be_written_says_so(
    script: str, arguments: list[str], setting: str, folder: str, tmp_path: Path
) -> None:
    done = run(script, *arguments, f"{setting}={folder}", cwd=tmp_path, status=1)
    assert re.fullmatch(
        rf"error: cannot write to the folder {folder}: .+; give another with {setting}=FOLDER\n", done.stderr
    )


@pytest.mark.skipif(sys.gettrace() is not None, reason="Hydra shows its tracebacks where lines are traced")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [("trainer.gpu=1", "Key 'gpu' not in 'TrainerConfig'"), ("optim.lr=fast", "'fast' of type 'str' could not be"),
     ("model=vgg99", "Could not find 'model/vgg99'"), ("data.split=random", "error: no data.split 'random'")],
)  # fmt: skip
def test_a_mistyped_command_shows_no_traceback(override: str, message: str, tmp_path: Path) -> None:
    done = run("train", override, cwd=tmp_path, status=1)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_bad_picture_among_many_shows_in_the_exit_status(
    trained: Trained, colour_posters: Path, tmp_path: Path
) -> None:
    (tmp_path / "good.jpg").write_bytes((colour_posters / "Images" / "c000.jpg").read_bytes())
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    done = run("predict", f"checkpoint={trained.best}", f"posters={tmp_path}", cwd=tmp_path, status=3)
    assert "good.jpg: Red" in done.stdout
    assert "bad.jpg: left out" in done.stdout
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"error: 1 of 2 posters could not be read, see the column error of {tmp_path}/")
    (tmp_path / "good.jpg").unlink()
    done = run("predict", f"checkpoint={trained.best}", f"posters={tmp_path}", cwd=tmp_path, status=1)
    assert done.stderr.startswith("error: not one poster could be read")


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the real posters are not beside this checkout")
def test_a_few_steps_on_the_real_posters_and_their_scores(tmp_path: Path) -> None:
    run(
        "train", f"data.root={REAL}", "model=tiny", "preprocess.height=48", "preprocess.width=32", "trainer.gpus=0",
        "trainer.max_epochs=1", "trainer.limit_train_batches=40", "hydra.run.dir=run",
        f"data.cache={tmp_path / 'cache'}",
        cwd=tmp_path,
    )  # fmt: skip
    with (tmp_path / "run" / "splits.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 7242
    run("evaluate", "checkpoint=run/checkpoints/best.ckpt", "hydra.run.dir=scores", cwd=tmp_path)
    scores = json.loads((tmp_path / "scores" / "metrics.json").read_text())["scores"]
    assert scores["num_genres"] == 22
    assert scores["accuracy_prior"] == pytest.approx(0.906, abs=0.01)
    assert scores["map"] > scores["map_prior"] == pytest.approx(0.106, abs=0.003)


STRANGE = {"Zorble": 0, "Quux & Co": 1, "<Flim>": 2, "Ñandú": None}
"""Genres that nobody has heard of: three are a bright channel, the fourth is darkness."""


@pytest.fixture
def strange_posters(tmp_path: Path) -> Path:
    """A poster set in the simple schema."""
    root = tmp_path / "strange"
    root.mkdir()
    random = np.random.default_rng(0)
    lines = ["image,genres"]
    for number in range(100):
        marks = [(number % 8) >> channel & 1 for channel in range(3)]
        genres = [name for name, channel in STRANGE.items() if (not any(marks) if channel is None else marks[channel])]
        pixels = random.integers(0, 60, (36, 24, 3)) + 190 * np.array(marks)
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"{number}.png")
        lines.append(f"{number}.png,{'|'.join(genres)}")
    (root / "train.csv").write_text("\n".join(lines), encoding="utf-8")
    return root


@pytest.mark.slow
def test_genres_nobody_has_heard_of_go_all_the_way(strange_posters: Path, tmp_path: Path) -> None:
    common = [f"data.root={strange_posters}", f"data.cache={tmp_path / 'cache'}"]
    run("train", *common, *SMALL, "trainer.max_epochs=15", "optim.lr=1e-2", "hydra.run.dir=run", cwd=tmp_path)
    done = run("evaluate", "checkpoint=run/checkpoints/best.ckpt", "hydra.run.dir=scores", cwd=tmp_path)
    scores = json.loads((tmp_path / "scores" / "metrics.json").read_text())["scores"]
    assert scores["num_genres"] == 4
    assert scores["map"] > 0.8 > 0.6 > scores["map_prior"]
    assert "Zorble" in done.stdout
    report = (tmp_path / "scores" / "report.html").read_text(encoding="utf-8")
    assert all(html.escape(genre, quote=False) in report for genre in STRANGE)
    assert "<Flim>" not in report
    assert "Quux &amp; Co" in (tmp_path / "scores" / "MODEL_CARD.md").read_text(encoding="utf-8")
    answers = run(
        "predict", "checkpoint=run/checkpoints/best.ckpt", f"posters={strange_posters}/8.png", "hydra.run.dir=answers",
        cwd=tmp_path,
    )  # fmt: skip
    assert answers.stdout.startswith("8.png: ")
    (row,) = read_csv(tmp_path / "answers" / "predictions.csv")
    assert list(row) == ["poster", "genres", "top", *sorted(STRANGE), "error"]
    assert set(row["genres"].split("|")) <= set(STRANGE)


@pytest.mark.slow
def test_folds_are_trained_scored_and_summed_up(colour_posters: Path, tmp_path: Path) -> None:
    done = run(
        "crossvalidate", f"data.root={colour_posters}", *SMALL, f"data.cache={tmp_path}", "folds=[0,2]",
        "loss=asymmetric", "loss.settings.gamma_neg=2", "hydra.run.dir=folds", cwd=tmp_path,
    )  # fmt: skip
    assert "2 folds, test splits" in done.stdout
    assert set(json.loads((tmp_path / "folds" / "crossvalidation.json").read_text())["folds"]) == {"0", "2"}
    settings = json.loads((tmp_path / "folds" / "fold2" / "settings.json").read_text())
    assert settings["loss"]["settings"]["gamma_neg"] == 2
