"""Told to stop, a run goes on to the next step, keeps a checkpoint from which it goes on there, and ends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import distributed
from typing_extensions import override

from postergenre.errors import StoppedError
from postergenre.training.ranks import Ranks


class Stops(Callback):
    """Hears Ctrl-C and SIGTERM while a network trains. ``Last`` asks it, and does what is to be done."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.asked: int | None = None
        """The signal that asks all processes to stop, as far as they have agreed on it."""
        self._heard = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear, instead of being ended; a second signal ends the run without another checkpoint.

        What is ignored, as by ``nohup``, stays so, and in another thread than the main one Python hears nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self._listen()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():
            self._listen()  # Lightning has put a handler of its own before ours, in which processes can wait forever

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._agree()

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._agree()

    def leave(self, trainer: Trainer, checkpoint: str) -> None:
        """End the run, if that is asked for.

        Raises:
            StoppedError: It is.
        """
        if self.asked:
            raise StoppedError(
                f"stopped in epoch {trainer.current_epoch + 1}, after step {trainer.global_step}; the same command "
                f"with resume={checkpoint} goes on from there",
                status=128 + self.asked,
            )

    def _listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._heard:
            raise StoppedError(
                "stopped at once; resume=…/last.ckpt goes on from the checkpoint before", status=128 + number
            )
        self._heard = number

    def _agree(self) -> None:
        """Let all processes know what one of them has heard."""
        heard = self._heard
        if self.ranks.group is not None:
            told = torch.tensor(heard)
            distributed.all_reduce(told, distributed.ReduceOp.MAX, group=self.ranks.group)
            heard = int(told)
        self.asked = heard or None
