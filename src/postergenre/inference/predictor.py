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

T = TypeVar("T")


@dataclass(kw_only=True, slots=True)
class Prediction:
    """The answer for one poster, or why there is none."""

    path: Path
    probabilities: list[float] | None
    """``(G,)`` in the order of the checkpoint's genres; None where the picture does not decode."""
    error: str = ""
    """Why the picture does not decode, as a sentence."""


class Predictor:
    """Probabilities of genres for picture files; decodes the next batch while the network computes one."""

    def __init__(self, network: PosterNetwork, contract: Contract, hardware: Hardware) -> None:
        self.network = network.to(hardware.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.contract = contract
        self.hardware = hardware

    @classmethod
    def load(cls, checkpoint: str | Path, hardware: Hardware) -> "Predictor":
        """Return the predictor of a checkpoint.

        Raises:
            CheckpointError: The file is missing, broken, unsafe, or was not made by postergenre.
        """
        return cls(*load_network(checkpoint), hardware)

    def probabilities(self, images: Tensor) -> Tensor:
        """Return ``(B,G)`` probabilities on the CPU for ``uint8 (B,3,H,W)`` images."""
        with torch.inference_mode(), self.hardware.autocast():
            logits: Tensor = self.network(images.to(self.hardware.device))
        return logits.float().sigmoid().cpu()

    def predict(self, paths: Sequence[Path], *, batch_size: int = 32) -> Iterator[Prediction]:
        """Yield a prediction for each picture, in order; one that does not decode is told and passed over."""
        with ThreadPoolExecutor() as pool:  # Pillow decodes outside the interpreter lock
            for batch, read in _one_ahead(
                (batch, [pool.submit(self._read, path) for path in batch]) for batch in _batches(paths, batch_size)
            ):
                decoded = [future.result() for future in read]
                images = [image for image, _ in decoded if image is not None]
                answers = iter(self.probabilities(torch.stack(images)).tolist() if images else ())
                for path, (image, error) in zip(batch, decoded, strict=True):
                    yield Prediction(path=path, probabilities=None if image is None else next(answers), error=error)

    def _read(self, path: Path) -> tuple[Tensor | None, str]:
        try:
            return self.contract.preprocess.read(path), ""
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
