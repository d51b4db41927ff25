"""Write a checkpoint in another format, and see that it answers the same before anybody can use it."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import torch
from rich.console import Console
from torch import Tensor

from postergenre.classifier.contract import Contract, find_checkpoints, load_network
from postergenre.classifier.posters import posters_of_training, settings_of_training
from postergenre.data.datamodule import PosterData
from postergenre.data.synthetic import GENRES, draw_poster
from postergenre.errors import CheckpointError, ConfigError, DataError, ExportError, PosterGenreError
from postergenre.export.config import ExportConfig
from postergenre.export.formats import FORMATS, Answer, Calibrated, Format
from postergenre.export.int8 import NUM_SCORED, Quantized, compare, write_int8
from postergenre.paths import expanded

T = TypeVar("T")
TOLERANCE = 1e-4
"""By how much a probability may differ from the checkpoint's in float32."""
NUM_PICTURES = 16
"""Posters on which an export is compared with its checkpoint."""


@dataclass(kw_only=True, slots=True)
class Exported:
    """A file that answers as its checkpoint, and what shows it."""

    path: Path
    max_difference: float
    """The largest difference of a probability from the checkpoint's in float32."""
    posters: str
    """What this was measured on."""
    int8: Path | None = None
    """The 8-bit graph, where one is asked for."""
    quantized: Quantized | None = None
    """What that costs and gives."""


def export(config: ExportConfig) -> Exported:
    """Write the checkpoint in ``config.format`` to ``output_dir``, with ``export.json`` beside it.

    Raises:
        PosterGenreError: The checkpoint cannot be used, or the export does not answer as it does.
    """
    console = Console()
    paths = find_checkpoints(config.checkpoint)
    if len(paths) > 1:
        raise ConfigError(
            f"checkpoint names {len(paths)} files: export one at a time; predict then takes several .onnx together"
        )
    calibrated = Calibrated(*load_network(paths[0]))
    data = _posters(calibrated.contract, config, console)
    told, images = _pictures(calibrated.contract, data)
    with torch.inference_mode():
        expected = calibrated(images)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    kind = FORMATS[config.format]
    target = output / f"{paths[0].stem}{kind.suffix}"
    difference = write_checked(kind, calibrated, target, images=images, expected=expected)
    exported = Exported(path=target, max_difference=difference, posters=told)
    _say(
        console,
        f"written: {target}, {target.stat().st_size / 1e6:.1f} MB; its probabilities differ from the checkpoint's by "
        f"at most {difference:.1g} on {told}",
    )
    _write_facts(exported, output)
    if config.quantize:
        assert data is not None
        exported.int8 = target.with_suffix(".int8.onnx")
        exported.quantized = quantize(exported.path, exported.int8, calibrated.contract, data, config)
        found = exported.quantized
        _say(
            console,
            f"written: {exported.int8}, {exported.int8.stat().st_size / 1e6:.1f} MB; {found.speed:.2f} times as fast "
            f"here; mAP on {found.num_posters} validation posters {found.map_int8:.4f} instead of "
            f"{found.map_float32:.4f}; probabilities differ by at most {found.max_difference:.3f}, "
            f"{found.mean_difference:.4f} on average",
        )
        _write_facts(exported, output)
    return exported


def write_checked(kind: Format, calibrated: Calibrated, target: Path, *, images: Tensor, expected: Tensor) -> float:
    """Write a file that gives ``expected (B,G)`` for ``images (B,3,H,W)``, and return the largest difference.

    Raises:
        ExportError: It does not, and is not written.
    """
    with TemporaryDirectory(dir=target.parent, prefix=".export") as folder:
        draft = Path(folder) / target.name
        kind.write(calibrated, draft)
        try:
            difference = largest_difference(kind.read(draft), images, expected)
        except CheckpointError as error:
            raise ExportError(f"{target.name} is not written, for nobody could read it: {error}") from None
        if not difference <= TOLERANCE:  # nor NaN
            raise ExportError(
                f"{target.name} is not written: its probabilities differ from the checkpoint's by up to "
                f"{difference:.2g}, more than {TOLERANCE:g}"
            )
        os.replace(draft, target)
    return difference


def largest_difference(answer: Answer, images: Tensor, expected: Tensor) -> float:
    """Return by how much the answers, to one poster alone and to the others together, differ from ``expected``."""
    with torch.inference_mode():
        answers = torch.cat([answer(images[:1]), answer(images[1:])])
    return float((answers - expected).abs().max())


def quantize(source: Path, target: Path, contract: Contract, data: PosterData, config: ExportConfig) -> Quantized:
    """Write an 8-bit graph and return what it costs and gives.

    Raises:
        ExportError: It costs more than ``config.max_map_loss``, and is not written.
    """
    scored = data.shown("val", _evenly(range(data.sizes["val"]), NUM_SCORED))
    calibrating = data.shown("train", _evenly(range(data.sizes["train"]), config.num_calibration))
    with TemporaryDirectory(dir=target.parent, prefix=".export") as folder:
        draft = Path(folder) / target.name
        write_int8(source, draft, [poster.picture for poster in calibrating], contract.preprocess)
        targets = torch.stack([poster.target for poster in scored])
        found = compare(source, draft, contract, [poster.picture for poster in scored], targets)
        if not found.map_loss <= config.max_map_loss:
            raise ExportError(
                f"{target.name} is not written: 8 bits lower the mAP on {found.num_posters} validation posters from "
                f"{found.map_float32:.4f} to {found.map_int8:.4f}, by more than max_map_loss={config.max_map_loss:g}"
            )
        os.replace(draft, target)
    return found


def _posters(contract: Contract, config: ExportConfig, console: Console) -> PosterData | None:
    """Return the posters of training, or none where they are not here and any picture will do.

    Raises:
        PosterGenreError: They are not here, and are needed or were pointed at.
    """
    settings = settings_of_training(contract, config.data)
    root = expanded(settings["root"])
    try:
        if settings["source"] != "shards" and not root.is_dir():
            raise DataError(f"the posters of training are not at {root}")
        return posters_of_training(contract, config.data)
    except PosterGenreError as error:
        if config.quantize or config.data.root is not None:
            raise
        _say(console, f"note: {error}")
        return None


def _pictures(contract: Contract, data: PosterData | None) -> tuple[str, Tensor]:
    """Return some pictures as ``uint8 (B,3,H,W)``, and what they are in words."""
    if data is None:
        drawn = [draw_poster([genre], seed=seed) for seed in range(2) for genre in GENRES][:NUM_PICTURES]
        return f"{len(drawn)} drawn posters", torch.stack([contract.preprocess(poster.picture) for poster in drawn])
    images = data.pixels("val", _evenly(range(data.sizes["val"]), NUM_PICTURES))
    return f"{len(images)} validation posters", images


def _evenly(items: Sequence[T], count: int) -> Sequence[T]:
    """Return about ``count`` items from all over, or all where there are no more."""
    return items[:: max(len(items) // count, 1)][:count]


def _write_facts(exported: Exported, output: Path) -> None:
    facts = asdict(exported) | {"path": exported.path.name, "int8": exported.int8.name if exported.int8 else None}
    (output / "export.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")


def _say(console: Console, sentence: str) -> None:
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)
