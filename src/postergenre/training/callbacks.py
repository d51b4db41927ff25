"""What happens beside the training steps: best and last checkpoint, a line per epoch, pictures for TensorBoard."""

import math
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, WeightAveraging
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console
from torch import distributed
from torch.nn.modules.batchnorm import _BatchNorm
from typing_extensions import override

from postergenre.classifier.module import PosterClassifier
from postergenre.data.datamodule import PosterData
from postergenre.pictures import Answer, contact_sheet
from postergenre.preprocess import open_picture
from postergenre.training.stops import Stops

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
                _copy(before, best)
            score = state_dict["best_model_score"]
            moved = {
                "dirpath": self.dirpath,
                "best_model_path": str(best),
                "kth_best_model_path": str(best),
                "best_k_models": {str(best): score},
                "kth_value": score,
            }
            super().load_state_dict(state_dict | moved)


@rank_zero_only
def _copy(file: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, to)


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
        if not self.ending(trainer) and time.monotonic() - self.last_yes < self.seconds:
            return False
        self.last_yes = time.monotonic()
        return True

    @staticmethod
    def ending(trainer: Trainer) -> bool:
        """Return whether this epoch is the last one."""
        return trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs


class Last(ModelCheckpoint):
    """Keeps ``last.ckpt``, where ``save_last=True`` would only write when the best one changes; then ends who must."""

    def __init__(self, folder: Path, stops: Stops, *, save_steps: int = 0) -> None:
        super().__init__(dirpath=folder, filename="last", enable_version_counter=False)
        self.pace = Pace()
        self.stops = stops
        self.save_steps = save_steps
        """Steps between two within an epoch; 0 for none."""

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if saves_within_epoch(trainer, batch_idx, self.save_steps, self.stops):
            self._keep(trainer)
            self.stops.leave(trainer, self.best_model_path)

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.strategy.broadcast(self.pace.due(trainer)) or self.stops.asked:  # one clock for all
            self._keep(trainer)
            if not Pace.ending(trainer):
                self.stops.leave(trainer, self.best_model_path)

    def _keep(self, trainer: Trainer) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                logger.save()  # first: who goes on from the checkpoint goes on with this table
        self._save_none_monitor_checkpoint(trainer, self._monitor_candidates(trainer))

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The last checkpoint of the run that goes on here stays where it is."""


def saves_within_epoch(trainer: Trainer, batch_idx: int, save_steps: int, stops: Stops) -> bool:
    """Return whether a checkpoint follows a batch that is not the last of an epoch: every so many steps, if at all.

    And where somebody asks the run to stop.

    Only between two steps: gradients that were added up for the next one are in no checkpoint.
    """
    stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
    due = stops.asked or (save_steps and trainer.global_step % save_steps == 0)
    return bool(due and stepped and not trainer.is_last_batch)


class EachEpoch(Callback):
    """Tells somebody outside the ``val/map`` of each epoch, and stops training where the answer is yes."""

    def __init__(self, on_epoch: Callable[[int, float], bool]) -> None:
        self.on_epoch = on_epoch

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.on_epoch(trainer.current_epoch, float(trainer.callback_metrics["val/map"])):
            trainer.should_stop = True


class CommonStatistics(Callback):
    """Gives every process the mean of the running statistics that each one's batch norms gathered from its own posters.

    DistributedDataParallel would keep those of the first process and forget what the others saw.
    """

    def __init__(self, stops: Stops, *, save_steps: int = 0) -> None:
        self.norms: dict[str, _BatchNorm] = {}
        self.stops = stops
        self.save_steps = save_steps
        """Steps between two checkpoints within an epoch, which hold the statistics of one process for all."""

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.norms = {  # those that learn, which frozen ones do not
            name: module
            for name, module in pl_module.named_modules()
            if isinstance(module, _BatchNorm) and module.training
        }

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not saves_within_epoch(trainer, batch_idx, self.save_steps, self.stops):
            return
        self._share()
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging) and callback._average_model is not None:
                averaged = callback._average_model.module.get_submodule
                self._share([norm for name in self.norms if isinstance(norm := averaged(name), _BatchNorm)])

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._share()

    @override
    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._share()  # by now the averaged weights may have taken the places of the others

    def _share(self, norms: Sequence[_BatchNorm] | None = None) -> None:
        norms = [*self.norms.values()] if norms is None else norms
        statistics = [s for norm in norms for s in (norm.running_mean, norm.running_var) if s is not None]
        if not statistics:
            return
        mean = torch.cat(statistics)
        distributed.all_reduce(mean)
        mean /= distributed.get_world_size()
        for own, common in zip(statistics, torch.split(mean, [len(s) for s in statistics]), strict=True):
            own.copy_(common)


class EpochLine(Callback):
    """One line per epoch for logs and pipes, where a progress bar would be noise."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.started = 0.0

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = time.perf_counter()  # an epoch that a run goes on in does not start again

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
        if logger is None or not trainer.is_global_zero or not self.pace.due(trainer):
            return
        assert isinstance(pl_module, PosterClassifier)
        assert pl_module.answered is not None
        logits, targets = pl_module.answered
        probabilities = pl_module.contract.calibrate(logits).sigmoid().cpu()  # (N, G)
        targets = targets.cpu()
        writer, step = logger.experiment, trainer.global_step
        for i, genre in enumerate(pl_module.contract.genres):
            writer.add_pr_curve(f"pr/{genre}", targets[:, i], probabilities[:, i], step)
        # Spread over the split, and the same ones every time.
        rows = torch.linspace(0, len(targets) - 1, min(NUM_PICTURED, len(targets))).long().tolist()
        shown = self.data.shown("val", rows)
        cards = [
            (
                open_picture(poster.picture),
                self._answers(pl_module, probabilities[row].tolist(), targets[row].tolist()),
            )
            for row, poster in zip(rows, shown, strict=True)
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
