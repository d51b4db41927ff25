"""Something trained that answers: in a script, in a server, in your own program."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor

from postergenre import web
from postergenre.classifier.contract import Contract, find_checkpoints
from postergenre.errors import CheckpointError, PictureError
from postergenre.hardware import Hardware, choose_hardware
from postergenre.inference.members import Member, load_member
from postergenre.preprocess import Preprocess
from postergenre.views import check_views

T = TypeVar("T")
Poster = str | Path | bytes | Image.Image
"""A picture file's path, its http(s) address (text), its content, or a PIL image of any mode."""


@dataclass(kw_only=True, slots=True)
class Prediction:
    """The answer for one poster, or why there is none."""

    probabilities: dict[str, float] = field(default_factory=dict)
    """Calibrated probability of each genre, in the checkpoint's order; empty where there is an error."""
    genres: list[str] = field(default_factory=list)
    """The poster's genres, most probable first: those that reach their thresholds, or the one that comes nearest."""
    path: Path | None = None
    """Where the poster was read, if from a file; None for an address, content or a PIL image."""
    error: str = ""
    """Why there is no answer, as a sentence: the picture is missing, does not decode, cannot be downloaded."""

    def top(self, count: int = 3) -> list[tuple[str, float]]:
        """Return the ``count`` most probable genres with their probabilities, best first; ties in vocabulary order."""
        return sorted(self.probabilities.items(), key=lambda answer: -answer[1])[:count]


class Predictor:
    """Genres of posters; decodes the next batch while the network computes one.

    >>> predictor = load("best.ckpt")                             # doctest: +SKIP
    >>> predictor.predict("poster.jpg").genres                    # doctest: +SKIP
    ['Drama', 'Romance']
    """

    def __init__(self, members: Sequence[Member], *, tta: str = "none", allow_empty: bool = False) -> None:
        """Get ready to answer.

        Args:
            members: What answers; the calibrated logits of several are averaged.
            tta: ``none``, ``flip`` or ``crops``: how often each poster is looked at; see ``views``.
            allow_empty: Give a poster no genre where none reaches its threshold, instead of the one that comes nearest.

        Raises:
            CheckpointError: They know different genres.
            ConfigError: No such ``tta``.
        """
        check_views(tta)
        self.contract = Contract.together([member.contract for member in members])
        self.members = list(members)
        self.preprocesses: list[Preprocess] = []
        """How a poster becomes pixels, once for all members that agree on it."""
        for member in members:
            if member.contract.preprocess not in self.preprocesses:
                self.preprocesses.append(member.contract.preprocess)
        self.tta = tta
        self.allow_empty = allow_empty

    @classmethod
    def load(
        cls,
        checkpoints: Sequence[Path] | Path | str,
        hardware: Hardware,
        *,
        tta: str = "none",
        allow_empty: bool = False,
    ) -> "Predictor":
        """Return the predictor of a checkpoint, or of several together.

        Raises:
            CheckpointError: A file is missing, broken, unsafe, or was not made by postergenre.
        """
        paths = [checkpoints] if isinstance(checkpoints, str | Path) else checkpoints
        return cls([load_member(path, hardware) for path in paths], tta=tta, allow_empty=allow_empty)

    def probabilities(self, *images: Tensor) -> Tensor:
        """Return calibrated probabilities ``(B,G)`` on the CPU.

        Args:
            images: ``uint8 (B,3,H,W)`` of the same posters by each of ``preprocesses``, in their order.

        Raises:
            CheckpointError: One is no number.
        """
        logits = [
            member.logits(images[self.preprocesses.index(member.contract.preprocess)], tta=self.tta)
            for member in self.members
        ]
        answers = torch.stack(logits).mean(dim=0).sigmoid()
        if not bool(torch.isfinite(answers).all()):
            raise CheckpointError(
                f"{self.contract.model.name} answers with what is no number: its weights are too large, at least for "
                "this precision (precision=32 has the most room)"
            )
        return answers

    def pixels(self, poster: Poster, *, fetch: Callable[[str], bytes] = web.fetch) -> list[Tensor]:
        """Return ``uint8 (3,H,W)`` of a poster, by each of ``preprocesses``; ``fetch`` gets what lies at an address.

        Raises:
            PictureError: The poster is missing, is no picture, is cut short, or is too large to be a poster.
        """
        if not poster:
            raise PictureError("no poster is named here" if isinstance(poster, str) else "the picture is empty")
        if isinstance(poster, Image.Image):
            return [preprocess(poster) for preprocess in self.preprocesses]
        source = fetch(poster) if isinstance(poster, str) and web.is_address(poster) else poster
        return [preprocess.read(source) for preprocess in self.preprocesses]

    def answer(self, probabilities: Sequence[float], *, path: Path | None = None) -> Prediction:
        """Return what ``(G,)`` probabilities say about a poster."""
        return Prediction(
            probabilities=dict(zip(self.contract.genres, probabilities, strict=True)),
            genres=self.contract.decide(probabilities, allow_empty=self.allow_empty),
            path=path,
        )

    def predict(self, poster: Poster) -> Prediction:
        """Return the genres of one poster.

        Raises:
            PictureError: The poster is missing, is no picture, is cut short, or is too large to be a poster.
        """
        _check(poster)
        images = [image[None] for image in self.pixels(poster)]
        return self.answer(self.probabilities(*images)[0].tolist(), path=_path(poster))

    def predict_many(
        self, posters: Iterable[Poster], *, batch_size: int = 32, fetch: Callable[[str], bytes] = web.fetch
    ) -> Iterator[Prediction]:
        """Yield the answer for each poster, in order; for one that cannot be read, it says why.

        Two batches are in memory at any time, however many posters there are.

        Args:
            posters: Any number.
            batch_size: Posters the network takes at once.
            fetch: Gets what lies at an http(s) address, on several threads; raises ``PictureError``.
        """
        if isinstance(posters, str | Path | bytes | Image.Image):
            raise TypeError("predict_many takes several posters; predict takes one")

        def read(poster: Poster) -> tuple[list[Tensor] | None, str]:
            try:
                return self.pixels(poster, fetch=fetch), ""
            except PictureError as error:
                return None, str(error)

        pool = ThreadPoolExecutor()  # decoders work outside the interpreter lock
        try:
            for batch, reading in _one_ahead(
                (batch, [pool.submit(read, _check(poster)) for poster in batch])
                for batch in batches(posters, batch_size)
            ):
                decoded = [future.result() for future in reading]
                images = [image for image, _ in decoded if image is not None]
                stacks = (torch.stack(stack) for stack in zip(*images, strict=True))
                answers = iter(self.probabilities(*stacks).tolist() if images else ())
                for poster, (image, error) in zip(batch, decoded, strict=True):
                    path = _path(poster)
                    yield Prediction(path=path, error=error) if image is None else self.answer(next(answers), path=path)
        finally:
            pool.shutdown(cancel_futures=True)  # who wants no more answers does not wait for downloads


def load(
    checkpoint: str | Path | Sequence[str | Path],
    *,
    gpus: str | int = "auto",
    precision: str = "auto",
    tta: str = "none",
    allow_empty: bool = False,
) -> Predictor:
    """Return the predictor of a checkpoint: ``load("best.ckpt").predict("poster.jpg").genres``.

    Args:
        checkpoint: A file; several, or a pattern with ``*``, answer together.
        gpus: ``auto`` (a CUDA GPU where there is one), ``0`` (the CPU) or ``1``.
        precision: ``auto``, ``32``, ``bf16`` or ``16``; see ``hardware.choose_hardware``.
        tta: ``none``, ``flip`` or ``crops``: how often each poster is looked at; see ``views``.
        allow_empty: Give a poster no genre where none reaches its threshold, instead of the one that comes nearest.

    Raises:
        CheckpointError: A file is missing, broken, unsafe, or was not made by postergenre.
        ConfigError: This machine has no such device or arithmetic, or there is no such ``tta``.
    """
    named = [str(checkpoint)] if isinstance(checkpoint, str | Path) else [str(path) for path in checkpoint]
    hardware = choose_hardware(gpus, precision)
    return Predictor.load(find_checkpoints(named), hardware, tta=tta, allow_empty=allow_empty)


def batches(posters: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield ``size`` at a time; the last may be fewer."""
    waiting = iter(posters)
    while batch := list(islice(waiting, size)):
        yield batch


def _one_ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the same items, each only after the next one was made (and so its decoding begun)."""
    waiting = deque(islice(items, 1))
    for item in items:
        waiting.append(item)
        yield waiting.popleft()
    yield from waiting


def _check(poster: Poster) -> Poster:
    if not isinstance(poster, str | Path | bytes | Image.Image):
        raise TypeError(f"a poster is a path, an address, bytes or a PIL image, not {type(poster).__name__}")
    return poster


def _path(poster: Poster) -> Path | None:
    return Path(poster) if isinstance(poster, str | Path) and not web.is_address(poster) else None
