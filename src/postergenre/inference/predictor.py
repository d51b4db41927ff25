"""A checkpoint that answers."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from postergenre.classifier.contract import Contract, load_network
from postergenre.errors import PictureError
from postergenre.hardware import Hardware
from postergenre.networks import PosterNetwork
from postergenre.preprocess import Preprocess
from postergenre.views import averaged, check_views

T = TypeVar("T")


@dataclass(kw_only=True, slots=True)
class Prediction:
    """The answer for one poster, or why there is none."""

    path: Path
    probabilities: list[float] | None
    """``(G,)``, calibrated, in the order of the checkpoint's genres; None where the picture does not decode."""
    error: str = ""
    """Why the picture does not decode, as a sentence."""


class Predictor:
    """Probabilities of genres for picture files; decodes the next batch while the network computes one."""

    def __init__(
        self, members: Sequence[tuple[PosterNetwork, Contract]], hardware: Hardware, *, tta: str = "none"
    ) -> None:
        """Get ready to answer.

        Args:
            members: Networks and their contracts; the calibrated logits of several are averaged.
            hardware: What computes.
            tta: ``none``, ``flip`` or ``crops``: how often each poster is looked at; see ``views``.

        Raises:
            CheckpointError: They know different genres.
            ConfigError: No such ``tta``.
        """
        check_views(tta)
        self.contract = Contract.together([contract for _, contract in members])
        self.members = [
            (network.to(hardware.device, memory_format=torch.channels_last), contract)  # type: ignore[call-overload]
            for network, contract in members
        ]
        self.preprocesses: list[Preprocess] = []
        """How a poster becomes pixels, once for all members that agree on it."""
        for _, contract in members:
            if contract.preprocess not in self.preprocesses:
                self.preprocesses.append(contract.preprocess)
        self.hardware = hardware
        self.tta = tta

    @classmethod
    def load(cls, checkpoints: Sequence[Path] | Path | str, hardware: Hardware, *, tta: str = "none") -> "Predictor":
        """Return the predictor of a checkpoint, or of several together.

        Raises:
            CheckpointError: A file is missing, broken, unsafe, or was not made by postergenre.
        """
        paths = [checkpoints] if isinstance(checkpoints, str | Path) else checkpoints
        return cls([load_network(path) for path in paths], hardware, tta=tta)

    def probabilities(self, *images: Tensor) -> Tensor:
        """Return calibrated probabilities ``(B,G)`` on the CPU.

        Args:
            images: ``uint8 (B,3,H,W)`` of the same posters by each of ``preprocesses``, in their order.
        """
        pixels = [image.to(self.hardware.device) for image in images]
        with torch.inference_mode(), self.hardware.autocast():
            logits = [
                contract.calibrate(averaged(network, pixels[self.preprocesses.index(contract.preprocess)], self.tta))
                for network, contract in self.members
            ]
        return torch.stack(logits).mean(dim=0).sigmoid().cpu()

    def predict(self, paths: Sequence[Path], *, batch_size: int = 32) -> Iterator[Prediction]:
        """Yield a prediction for each picture, in order; one that does not decode is told and passed over."""
        with ThreadPoolExecutor() as pool:  # Pillow decodes outside the interpreter lock
            for batch, read in _one_ahead(
                (batch, [pool.submit(self._read, path) for path in batch]) for batch in _batches(paths, batch_size)
            ):
                decoded = [future.result() for future in read]
                images = [image for image, _ in decoded if image is not None]
                stacks = (torch.stack(stack) for stack in zip(*images, strict=True))
                answers = iter(self.probabilities(*stacks).tolist() if images else ())
                for path, (image, error) in zip(batch, decoded, strict=True):
                    yield Prediction(path=path, probabilities=None if image is None else next(answers), error=error)

    def _read(self, path: Path) -> tuple[list[Tensor] | None, str]:
        try:
            return [preprocess.read(path) for preprocess in self.preprocesses], ""
        except PictureError as error:
            return None, str(error)


def _batches(paths: Sequence[Path], batch_size: int) -> Iterator[Sequence[Path]]:
    return (paths[start : start + batch_size] for start in range(0, len(paths), batch_size))


def _one_ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the same items, each only after the next one was made (and so its decoding begun)."""
    waiting = deque(islice(items, 1))
    for item in items:
        waiting.append(item)
        yield waiting.popleft()
    yield from waiting
