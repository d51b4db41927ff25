"""A run that is resumed in the middle of an epoch is, to the bit, the run that nobody interrupted."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from pytorch_lightning import Trainer
from rich.console import Console

from conftest import ROOT, small_config
from postergenre.augment import Augment
from postergenre.classifier.contract import read_checkpoint
from postergenre.classifier.module import PosterClassifier
from postergenre.errors import ConfigError
from postergenre.training import TrainConfig, train
from postergenre.training.callbacks import Last
from postergenre.training.logs import rows_before

MakeConfig = Callable[[], TrainConfig]


def everything(config: TrainConfig) -> None:
    """Whatever has a state of its own, or draws."""
    config.augment = Augment(flip=0.5, crop=0.3, colour=0.2, mixup=0.4, cutmix=0.4)
    config.data.balance, config.data.batch_size = 0.5, 8  # 11 batches
    config.model.dropout = 0.5
    config.optim.schedule, config.optim.warmup, config.optim.ema = "cosine", 0.2, 0.9
    config.trainer.accumulate_grad_batches, config.trainer.patience = 2, 3
    config.trainer.gradient_clip_val = 1.0


def frozen(config: TrainConfig) -> None:
    """Kept features of augmented views, mixed."""
    config.model.freeze, config.model.dropout = "stage2", 0.3
    config.augment = Augment(flip=0.5, colour=0.2, views=3, mixup=0.4)
    config.trainer.patience = 2


def mixed(config: TrainConfig) -> None:
    config.trainer.precision, config.optim.ema, config.model.dropout = "bf16", 0.5, 0.2


def plain_loader(config: TrainConfig) -> None:
    """Decoded by two processes in every epoch."""
    config.data.cache_limit, config.data.workers = 0.0, 2
    config.augment = Augment(flip=0.5, crop=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [everything, frozen, mixed, plain_loader])
def test_a_run_goes_on_in_an_epoch_as_if_never_interrupted(
    recipe: Callable[[TrainConfig], None], colour_posters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def config(folder: str) -> TrainConfig:
        made = small_config(colour_posters, tmp_path / folder)
        made.trainer.max_epochs, made.trainer.save_steps = 5, 2
        recipe(made)
        return made

    keep = Last._keep

    def keep_and_copy(self: Last, trainer: Trainer) -> None:
        keep(self, trainer)
        copy = tmp_path / f"at{trainer.global_step}"
        if not copy.exists() and trainer.is_global_zero:  # as if it were killed here
            shutil.copytree(tmp_path / "whole", copy, ignore=shutil.ignore_patterns("tensorboard"))

    monkeypatch.setattr("postergenre.training.callbacks.PACE", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(Last, "_keep", keep_and_copy)
        whole = train(config("whole"))
    wanted = left(tmp_path / "whole")
    places = sorted(tmp_path.glob("at*"), key=lambda path: int(path.name[2:]))
    within = [place for place in places if read_checkpoint(place / "checkpoints" / "last.ckpt")[0]["batches"]]
    assert len(within) >= 4
    torch.rand(7)  # whatever happens between the two runs
    for place in (within[len(within) // 2], places[-2]):
        rest = config(place.name)
        rest.resume = str(place / "checkpoints" / "last.ckpt")
        log, started = StringIO(), time.perf_counter()
        resumed = train(rest, console=Console(file=log))
        took = [float(seconds) for seconds in re.findall(r"(\d+) s$", log.getvalue(), re.MULTILINE)]
        assert took
        assert sum(took) <= time.perf_counter() - started + len(took)  # each is rounded
        assert resumed.scores == whole.scores
        found = left(place)
        assert found.keys() == wanted.keys()
        assert [name for name, value in wanted.items() if not same(found[name], value)] == [], place.name


def left(folder: Path) -> dict[str, Any]:
    """Return what a run leaves: weights, moments, schedule, random state, patience; and its metrics as they stand."""
    found: dict[str, Any] = {"metrics": (folder / "metrics.csv").read_text()}
    for which in ("last", "best"):
        checkpoint = read_checkpoint(folder / "checkpoints" / f"{which}.ckpt")[0]
        names = (
            "state_dict",
            "current_model_state",
            "optimizer_states",
            "lr_schedulers",
            "rng",
            "epoch",
            "global_step",
        )
        for name in names:
            found[f"{which}: {name}"] = checkpoint.get(name)
        for name, state in checkpoint["callbacks"].items():
            if "Patience" in name or "Averaging" in name:
                found[f"{which}: {name}"] = state
    return found


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def test_metrics_of_a_run_that_goes_on_elsewhere_are_those_of_the_whole_run(
    colour_config: MakeConfig, tmp_path: Path
) -> None:
    config = colour_config()
    config.trainer.max_epochs = 2
    half = train(config)
    config = colour_config()
    config.resume, config.trainer.max_epochs, config.output_dir = str(half.last), 3, str(tmp_path / "elsewhere")
    train(config)
    epochs = pd.read_csv(tmp_path / "elsewhere" / "metrics.csv").dropna(subset="val/map")["epoch"]
    assert epochs.tolist() == [0, 1, 2]
    assert pd.read_csv(tmp_path / "run" / "metrics.csv").dropna(subset="val/map")["epoch"].tolist() == [0, 1]


def test_a_row_that_was_cut_off_is_none(tmp_path: Path) -> None:
    table = tmp_path / "metrics.csv"
    assert rows_before(table, 9) == []
    table.write_text("epoch,step,val/map\r\n0,5,0.25\r\n1,11,0.5\r\n2,1")
    assert [row["step"] for row in rows_before(table, 12)] == ["5", "11"]
    assert [row["val/map"] for row in rows_before(table, 11)] == ["0.25"]


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_weights_that_are_no_numbers_are_never_saved(
    precision: str, colour_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss of the step that ruins them is still a number: only the next one would tell."""
    config = colour_config()
    config.trainer.save_steps, config.trainer.precision, config.trainer.max_epochs = 1, precision, 2
    step = torch.optim.AdamW.step

    def ruin(self: torch.optim.AdamW, closure: Any = None) -> Any:
        done = step(self, closure)
        count[0] += 1
        if count[0] == 3:
            with torch.no_grad():
                self.param_groups[0]["params"][0].fill_(float("inf"))
        return done

    count = [0]
    monkeypatch.setattr(torch.optim.AdamW, "step", ruin)
    with pytest.raises(ConfigError, match=r"became a number that is none at step 3: lower optim\.lr, .*are unharmed"):
        train(config)
    checkpoint, _ = read_checkpoint(Path(config.output_dir) / "checkpoints" / "last.ckpt")
    assert checkpoint["global_step"] == 2
    assert all(bool(value.isfinite().all()) for value in checkpoint["state_dict"].values())


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_loss_that_is_no_number_names_its_step_and_leaves_the_checkpoint_before(
    precision: str, colour_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = colour_config()
    config.trainer.save_steps, config.trainer.precision = 2, precision
    forward, calls = PosterClassifier.forward, [0]

    def ruined(self: PosterClassifier, images: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return forward(self, images) * (float("nan") if calls[0] == 6 else 1.0)

    monkeypatch.setattr(PosterClassifier, "forward", ruined)
    with pytest.raises(ConfigError, match=r"the loss became nan at step 5: lower optim\.lr"):
        train(config)
    assert read_checkpoint(Path(config.output_dir) / "checkpoints" / "last.ckpt")[0]["global_step"] == 4


@pytest.mark.slow
def test_a_seed_gives_the_same_weights_in_another_process_and_another_seed_others(
    colour_posters: Path, tmp_path: Path
) -> None:
    def weights(name: str, seed: int) -> dict[str, torch.Tensor]:
        command = [
            sys.executable, str(ROOT / "scripts" / "train.py"), f"data.root={colour_posters}", "model=tiny",
            f"data.cache={tmp_path / name}", "data.min_positives=5", "preprocess.height=32", "preprocess.width=24",
            "trainer.gpus=0", "trainer.max_epochs=2", "model.dropout=0.5", "augment=light", "augment.mixup=0.4",
            "trainer.deterministic=true", f"seed={seed}", f"hydra.run.dir={tmp_path / name}", "data.workers=0",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        checkpoint, contract = read_checkpoint(tmp_path / name / "checkpoints" / "last.ckpt")
        assert contract.provenance["deterministic"] is True
        state: dict[str, torch.Tensor] = checkpoint["state_dict"]
        return state

    one, other, third = weights("one", 0), weights("other", 0), weights("third", 1)
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert not torch.equal(one["network.head.output.weight"], third["network.head.output.weight"])
