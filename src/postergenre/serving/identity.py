"""What the server knows of its checkpoints without their networks: how posters become pixels, and numbers answers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from postergenre import __version__
from postergenre.classifier.contract import Contract, read_checkpoint, without_nan
from postergenre.errors import PictureError
from postergenre.hardware import Hardware
from postergenre.inference.members import load_member
from postergenre.preprocess import Preprocess
from postergenre.serving.config import ServeConfig
from postergenre.serving.refusal import Refusal
from postergenre.serving.uploads import FORMATS, check_picture, told

CPU = Hardware(device=torch.device("cpu"), precision="32")


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who answers."""

    contract: Contract
    preprocesses: list[Preprocess]
    """As ``Predictor.preprocesses``, in the same order."""
    name: str
    """The networks' names."""
    explains: bool
    """Whether there are networks to draw heat maps from."""

    @classmethod
    def read(cls, paths: Sequence[Path]) -> "Identity":
        """Return the identity of a checkpoint, or of several together.

        Raises:
            CheckpointError: A file is missing, broken, unsafe, or was not made by postergenre.
        """
        graphs = [path for path in paths if path.suffix == ".onnx"]
        contracts = [load_member(path, CPU).contract if path in graphs else read_checkpoint(path)[1] for path in paths]
        preprocesses: list[Preprocess] = []
        for contract in contracts:
            if contract.preprocess not in preprocesses:
                preprocesses.append(contract.preprocess)
        return cls(
            contract=Contract.together(contracts),
            preprocesses=preprocesses,
            name=" + ".join(contract.model.name for contract in contracts),
            explains=not graphs,
        )

    def pixels(self, data: bytes, *, max_pixels: int) -> list[npt.NDArray[np.uint8]]:
        """Return ``uint8 (3,H,W)`` of a picture file's content, by each of ``preprocesses``.

        Raises:
            Refusal: It is no picture, is broken, or is too large.
        """
        check_picture(data, max_pixels=max_pixels)
        try:
            return [preprocess.read(data).numpy() for preprocess in self.preprocesses]
        except PictureError as error:
            raise Refusal(422, str(error)) from None

    def genres(self, probabilities: Sequence[float]) -> list[dict[str, Any]]:
        """Return ``(G,)`` probabilities with their genres, most probable first."""
        told = zip(self.contract.genres, probabilities, self.contract.thresholds, strict=True)
        return [
            {
                "name": name,
                "probability": probability,
                "threshold": threshold,
                "above_threshold": probability >= threshold,
            }
            for name, probability, threshold in sorted(told, key=lambda genre: -genre[1])
        ]

    def index(self, genre: str) -> int:
        """Return the number of the output that tells a genre.

        Raises:
            Refusal: There is none.
        """
        names = list(self.contract.genres)
        if genre not in names:
            known = f"known: {', '.join(names)}"
            raise Refusal(422, f"no genre {told(genre)!r}; {known}" if genre else f"name the genre to explain; {known}")
        return names.index(genre)

    def told(self, config: ServeConfig) -> dict[str, Any]:
        """Return what ``/info`` says: the contract without the paths of the machine that trained."""
        contract = self.contract
        columns = zip(contract.genres, contract.thresholds, contract.priors, strict=True)
        return {
            "model": self.name,
            "genres": [
                {"name": name, "threshold": threshold, "prior": prior, "headline": name in contract.headline}
                for name, threshold, prior in columns
            ],
            "preprocess": [asdict(preprocess) for preprocess in self.preprocesses],
            "tta": config.tta,
            "explains": self.explains,
            "validation": without_nan(contract.provenance.get("val", {})),
            "limits": {
                "max_body_mb": config.max_body_mb,
                "max_posters": config.max_posters,
                "max_pixels": config.max_pixels,
                "formats": list(FORMATS),
                "queue": config.queue,
                "timeout": config.timeout,
            },
            "version": __version__,
        }
