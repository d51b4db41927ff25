"""A graph that computes its convolutions in 8 bits, and what that costs and gives."""

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor

from postergenre.classifier.contract import Contract
from postergenre.classifier.graph import INPUT, load_graph
from postergenre.export.formats import CPU, Answer
from postergenre.metrics import average_precision
from postergenre.preprocess import Preprocess

BATCH = 16
NUM_SCORED = 2000
"""Validation posters that are scored, at most."""
ROUNDS = 5
OPERATIONS = ["Conv", "MatMul"]
"""Nearly all of the work of a network; the first arithmetic on pixels, the pools and the small head stay exact."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantized:
    """What an 8-bit graph costs and gives, against the same graph in float32."""

    map_float32: float
    """Mean average precision over the headline genres, on validation."""
    map_int8: float
    num_posters: int
    """Posters behind the two."""
    max_difference: float
    """The largest difference of a probability."""
    mean_difference: float
    speed: float
    """How many times as many posters a second, on this CPU."""

    @property
    def map_loss(self) -> float:
        """Mean average precision that 8 bits cost; below 0, they happened to help."""
        return self.map_float32 - self.map_int8


class _Posters(CalibrationDataReader):  # type: ignore[misc]
    """What onnxruntime watches the float32 graph take, to see how large its numbers become."""

    def __init__(self, batches: Iterator[Tensor]) -> None:
        self.batches = batches

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self.batches, None)
        return None if batch is None else {INPUT: batch.numpy()}


def write_int8(source: Path, target: Path, posters: Sequence[Path | bytes], preprocess: Preprocess) -> None:
    """Write an ONNX file with the same input, output and metadata as ``source``, whose convolutions take 8 bits.

    Weights have a scale for each channel (Krishnamoorthi, "Quantizing deep convolutional networks for efficient
    inference", 2018), activations one for each tensor, from the range they have on ``posters``.
    """
    with TemporaryDirectory(dir=target.parent, prefix=".export") as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)  # shapes are in the file
        quantize_static(
            prepared,
            target,
            _Posters(batches(posters, preprocess)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=OPERATIONS,
            per_channel=True,
            reduce_range=True,  # 7 bits of weight: CPUs without VNNI would saturate, and it costs nothing
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def compare(
    float32: Path, int8: Path, contract: Contract, posters: Sequence[Path | bytes], targets: Tensor
) -> Quantized:
    """Return what the 8-bit graph loses on posters whose targets ``(N,G)`` are known, and what it gains."""
    exact, rough = (load_graph(path, CPU).probabilities for path in (float32, int8))
    answers = [(exact(images), rough(images)) for images in batches(posters, contract.preprocess)]
    wanted, given = (torch.cat(column) for column in zip(*answers, strict=True))  # (N,G)
    difference = (wanted - given).abs()
    counted = contract.headline_mask() & targets.any(dim=0)
    scores = (float(average_precision(p, targets)[counted].mean()) for p in (wanted, given))
    map_float32, map_int8 = scores
    return Quantized(
        map_float32=map_float32,
        map_int8=map_int8,
        num_posters=len(posters),
        max_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        speed=_speed(exact, rough, next(batches(posters, contract.preprocess))),
    )


def batches(posters: Sequence[Path | bytes], preprocess: Preprocess) -> Iterator[Tensor]:
    """Yield ``uint8 (B,3,H,W)`` of all posters."""
    for start in range(0, len(posters), BATCH):
        yield torch.stack([preprocess.read(path) for path in posters[start : start + BATCH]])


def _speed(exact: Answer, rough: Answer, images: Tensor) -> float:
    """Return how many times as fast ``rough`` is: the median of turns, as other programs may run meanwhile."""
    ratios = []
    for _ in range(ROUNDS):
        ratios.append(_seconds(exact, images) / _seconds(rough, images))
    return statistics.median(ratios)


def _seconds(answer: Answer, images: Tensor) -> float:
    start = time.perf_counter()
    answer(images)
    return time.perf_counter() - start
