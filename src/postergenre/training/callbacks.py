"""What happens beside the training steps: best and last checkpoint, a line per epoch, pictures for TensorBoard."""

import math
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger
from rich.console import Console
from typing_extensions import override

from postergenre.classifier.module import PosterClassifier
from postergenre.data.datamodule import PosterData
from postergenre.pictures import Answer, contact_sheet
from postergenre.preprocess import open_picture

PACE = 20.0
"""Seconds between two last checkpoints, and between two sets of pictures, where epochs are shorter than that."""
NUM_PICTURED = 16
"""Validation posters in the grid."""


class Best(ModelCheckpoint):
    """Keeps ``best.ckpt``, the highest ``val/map``; resuming into another folder brings the best one so far along."""

    def __init__(self, folder: Path, *, resume: str | None = None) -> None:
        super().__init__(dirpath=folder, filename="best", monitor="val/map", mode="max", enable_version_counter=False)
        self.resume = resume

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        before = Path(state_dict["best_model_path"])
        if not before.is_file() and self.resume:
            before = Path(self.resume).with_name("best.ckpt")  # its folder was moved
        if before.is_file():
            assert self.dirpath is not None
            best = Path(self.dirpath) / before.name
            if best != before:
                best.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(before, best)
            score = state_dict["best_model_score"]
            moved = {
                "dirpath": self.dirpath,
                "best_model_path": str(best),
                "kth_best_model_path": str(best),
                "best_k_models": {str(best): score},
                "kth_value": score,
            }
            super().load_state_dict(state_dict | moved)


class Patience(EarlyStopping):
    """Stops when ``val/map`` no longer rises; a resumed run has the patience it is given, not the one it had."""

    def __init__(self, patience: int) -> None:
        super().__init__(monitor="val/map", mode="max", patience=patience)

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict | {"patience": self.patience})


class Pace:
    """Says yes to an epoch when the last yes was a while ago, or when the epoch is the last one."""

    def __init__(self) -> None:
        self.last_yes = -math.inf
        self.seconds = PACE
        """Between one yes and the next."""

    def due(self, trainer: Trainer) -> bool:
        """Return whether it is time again; epochs of a second need not all be written down."""
        ending = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        if not ending and time.monotonic() - self.last_yes < self.seconds:
            return False
        self.last_yes = time.monotonic()
        return True


class Last(ModelCheckpoint):
    """Keeps ``last.ckpt``, where ``save_last=True`` would only write when the best one changes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(dirpath=folder, filename="last", enable_version_counter=False)
        self.pace = Pace()

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.pace.due(trainer):
            super().on_train_epoch_end(trainer, pl_module)

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The last checkpoint of the run that goes on here stays where it is."""


class EpochLine(Callback):
    """One line per epoch for logs and pipes, where a progress bar would be noise."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.started = 0.0

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = time.perf_counter()

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        found = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.console.print(
            f"epoch {trainer.current_epoch + 1:>3}/{trainer.max_epochs}"
            f"  train loss {found['train/loss_epoch']:.4f}"
            f"  val bce {found['val/bce']:.4f} (prior {found['val/bce_prior']:.4f})"
            f"  val map {found['val/map']:.4f} (prior {found['val/map_prior']:.4f})"
            f"  {time.perf_counter() - self.started:.0f} s",
            highlight=False,
            soft_wrap=True,
        )


class Pictures(Callback):
    """TensorBoard: a precision-recall curve per genre, and a few validation posters with true and predicted genres."""

    def __init__(self, data: PosterData) -> None:
        self.data = data
        self.pace = Pace()

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        logger = next((logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)), None)
        if logger is None or not self.pace.due(trainer):
            return
        assert isinstance(pl_module, PosterClassifier)
        logits, targets = pl_module.val_scores.gathered()
        probabilities = pl_module.contract.calibrate(logits).sigmoid().cpu()  # (N, G)
        targets = targets.cpu()
        writer, step = logger.experiment, trainer.global_step
        for i, genre in enumerate(pl_module.contract.genres):
            writer.add_pr_curve(f"pr/{genre}", targets[:, i], probabilities[:, i], step)
        # Spread over the split, and the same ones every time.
        rows = torch.linspace(0, len(targets) - 1, min(NUM_PICTURED, len(targets))).long().tolist()
        paths = self.data.paths("val")
        cards = [
            (open_picture(paths[row]), self._answers(pl_module, probabilities[row].tolist(), targets[row].tolist()))
            for row in rows
        ]
        writer.add_image("val/posters", np.asarray(contact_sheet(cards)), step, dataformats="HWC")

    @staticmethod
    def _answers(classifier: PosterClassifier, probabilities: list[float], targets: list[float]) -> list[Answer]:
        contract = classifier.contract
        return [
            Answer(genre=genre, probability=probability, threshold=threshold, truth=bool(target))
            for genre, probability, threshold, target in zip(
                contract.genres, probabilities, contract.thresholds, targets, strict=True
            )
        ]
