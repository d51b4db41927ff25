"""Score a checkpoint on the posters it was trained beside."""

import csv
import json
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from postergenre.classifier.contract import Contract
from postergenre.classifier.module import PosterClassifier
from postergenre.data.datamodule import DataConfig, PosterData
from postergenre.data.manifest import SPLITS
from postergenre.errors import CheckpointError, ConfigError, DataError
from postergenre.hardware import Hardware, choose_hardware
from postergenre.metrics import bootstrap_intervals, genre_table

HEADLINES = (
    ("mAP, headline genres", "map", "map_prior"),
    ("mAP, all genres", "map_all", "map_all_prior"),
    ("AUROC, macro", "auroc", None),
    ("BCE", "bce", "bce_prior"),
    ("calibration error (ECE)", "ece", None),
    ("binary accuracy", "accuracy", "accuracy_prior"),
    ("precision at 3", "precision_at_3", None),
    ("recall at 3", "recall_at_3", None),
    ("F1 micro 0.5 | tuned", "f1_micro", None),
    ("F1 macro 0.5 | tuned", "f1_macro", None),
    ("F1 weighted 0.5 | tuned", "f1_weighted", None),
    ("F1 samples 0.5 | tuned", "f1_samples", None),
    ("exact match 0.5 | tuned", "exact_match", None),
    ("Hamming loss 0.5 | tuned", "hamming", None),
)
CONSTANT = {"auroc": 0.5}
"""What knowing nothing scores, where no data is needed to say it."""


@dataclass(kw_only=True, slots=True)
class Place:
    """Where the posters lie and how they are read now; what is not said is as it was in training."""

    root: str | None = None
    """Folder of the poster CSV."""
    batch_size: int | None = None
    """Posters a step."""
    workers: int | None = None
    """Processes that decode posters."""
    cache: str | None = None
    """What was learnt about the pictures is kept here."""


@dataclass(kw_only=True, slots=True)
class EvaluateConfig:
    """Everything ``scripts/evaluate.py`` can be told."""

    checkpoint: str
    """The checkpoint to score."""
    split: str = "auto"
    """``test``, ``val`` or ``train``; ``auto`` is test where there is one, else val."""
    data: Place = field(default_factory=Place)
    gpus: str = "auto"
    """``auto`` (a CUDA GPU where there is one), ``0`` (the CPU) or ``1``."""
    precision: str = "auto"
    """``32``, ``bf16`` or ``16``; ``auto`` is that of training, where this machine has it."""
    num_resamples: int = 1000
    """Bootstrap resamples behind each interval."""
    output_dir: str = "outputs/evaluate"
    """Where everything is written."""

    def __post_init__(self) -> None:
        if self.split not in ("auto", *SPLITS):
            raise ConfigError(f"no split {self.split!r}; known: auto, {', '.join(SPLITS)}")
        if self.num_resamples < 100:
            raise ConfigError(f"num_resamples must be at least 100 for a 95 % interval, not {self.num_resamples}")


def evaluate(config: EvaluateConfig) -> dict[str, float]:
    """Return every score of a checkpoint by name; prints them and writes ``metrics.json`` and ``per_genre.csv``.

    TensorBoard gets them as ``<split>/<name>``, at the step of the checkpoint.

    Raises:
        PosterGenreError: The checkpoint or its posters cannot be used, or the posters are not those of training.
    """
    console = Console()
    classifier = PosterClassifier.from_checkpoint(config.checkpoint)
    hardware = _hardware(config, classifier.contract)
    data = _data(classifier.contract, config.data)
    split = _split(data, config.split)
    if split == "val" and config.split == "auto":
        console.print(
            "note: this split has no test posters; scored on val, which chose the checkpoint and its thresholds",
            highlight=False,
        )
    logits, targets = _run(classifier, data, split, hardware)
    scores = {name: float(value) for name, value in classifier.scores(logits, targets).items()}
    headline = classifier.val_scores.headline.cpu()
    intervals = bootstrap_intervals(logits, targets, headline=headline, num_resamples=config.num_resamples)
    rows = genre_table(
        logits, targets, genres=classifier.contract.genres, thresholds=torch.tensor(classifier.contract.thresholds)
    )
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    report = {
        "checkpoint": str(config.checkpoint),
        "split": split,
        "hardware": str(hardware),
        "scores": scores,
        "intervals": intervals,
        "provenance": classifier.contract.provenance,
    }
    (output / "metrics.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    with SummaryWriter(str(output / "tensorboard")) as board:
        step = int(classifier.contract.provenance.get("step", 0))
        for name, value in scores.items():
            board.add_scalar(f"{split}/{name}", value, step)
    with (output / "per_genre.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    _print(console, scores, intervals, rows, title=f"{split}: {len(targets)} posters, {hardware}")
    console.print(f"written to {output}: metrics.json, per_genre.csv, tensorboard/", highlight=False, soft_wrap=True)
    return scores


def _hardware(config: EvaluateConfig, contract: Contract) -> Hardware:
    if config.precision == "auto":
        with suppress(ConfigError):
            return choose_hardware(config.gpus, contract.provenance.get("precision", "auto"))
    return choose_hardware(config.gpus, config.precision)


def _data(contract: Contract, place: Place) -> PosterData:
    settings: dict[str, Any] = {f.name: contract.data[f.name] for f in fields(DataConfig) if f.name in contract.data}
    for setting in fields(place):
        if (value := getattr(place, setting.name)) is not None:
            settings[setting.name] = value
    data = PosterData(DataConfig(**settings), contract.preprocess)
    data.prepare_data()
    try:
        data.setup()
    except DataError as error:
        raise DataError(f"the posters of training cannot be used any more: {error}") from None
    if data.genres != contract.genres:
        raise CheckpointError(
            f"the posters have other genres ({', '.join(data.genres)}) than the checkpoint "
            f"({', '.join(contract.genres)})"
        )
    if data.fingerprint != contract.data.get("fingerprint"):
        raise CheckpointError(
            f"the posters at {settings['root']} or their splits are not those of training: its test posters may have "
            "been trained on. Point data.root at the posters of training"
        )
    return data


def _split(data: PosterData, wanted: str) -> str:
    if wanted == "auto":
        return "test" if data.rows["test"] else "val"
    if not data.rows[wanted]:
        raise ConfigError(
            f"these posters have no split {wanted!r}; they have: "
            f"{', '.join(split for split, rows in data.rows.items() if rows)}"
        )
    return wanted


def _run(classifier: PosterClassifier, data: PosterData, split: str, hardware: Hardware) -> tuple[Tensor, Tensor]:
    """Return ``logits (N,G)`` and ``targets (N,G)`` of a split."""
    device = hardware.device
    data.pin_memory = device.type == "cuda"
    classifier.to(device).eval()
    with torch.inference_mode(), hardware.autocast():
        for images, targets, _ in data.loader(split):
            classifier.val_scores.update(
                classifier(images.to(device, non_blocking=True)), targets.to(device, non_blocking=True)
            )
    logits, targets = classifier.val_scores.gathered()
    classifier.cpu()
    return logits.cpu(), targets.cpu()


def _print(
    console: Console,
    scores: dict[str, float],
    intervals: dict[str, tuple[float, float]],
    rows: list[dict[str, str | float]],
    *,
    title: str,
) -> None:
    table = _table(title)
    for name in ("score", "model", "95 % interval", "knowing nothing"):
        table.add_column(name, justify="left" if name == "score" else "right")
    for label, name, prior in HEADLINES:
        value = f"{scores[name]:.4f}" + (f" | {scores[f'{name}_tuned']:.4f}" if f"{name}_tuned" in scores else "")
        interval = "{:.4f} … {:.4f}".format(*intervals[name]) if name in intervals else ""
        nothing = scores[prior] if prior else CONSTANT.get(name)
        table.add_row(label, value, interval, f"{nothing:.4f}" if nothing is not None else "")
    table.add_row("genres in mAP | all", f"{scores['num_genres']:.0f} | {scores['num_genres_all']:.0f}", "", "")
    console.print(table)
    genres = _table("by genre, at the checkpoint's thresholds")
    for name in rows[0]:
        genres.add_column(name, justify="left" if name == "genre" else "right")
    for row in sorted(rows, key=lambda row: -int(row["support"])):
        genres.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row.values()))
    console.print(genres)


def _table(title: str) -> Table:
    """Return an empty table narrow enough for 80 columns."""
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
