"""Tell the genres of picture files."""

import csv
import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console

from postergenre.classifier.contract import Contract, find_checkpoints
from postergenre.errors import ConfigError, DataError
from postergenre.hardware import choose_hardware
from postergenre.inference.predictor import Prediction, Predictor
from postergenre.pictures import Answer, annotate
from postergenre.preprocess import open_picture
from postergenre.views import check_views

NUM_BARS = 8
"""Genres beside an annotated poster."""


@dataclass(kw_only=True, slots=True)
class PredictConfig:
    """Everything ``scripts/predict.py`` can be told."""

    checkpoint: Any
    """The checkpoint that answers; several (``[A,B]``, or a quoted pattern with ``*``) answer together."""
    posters: str
    """A picture, a folder of pictures, or a glob such as ``'posters/*.jpg'``."""
    top: int = 3
    """Genres to print for each poster."""
    allow_empty: bool = False
    """Let a poster have no genre where none reaches its threshold, instead of the one that comes nearest."""
    tta: str = "none"
    """Look at each poster several times: ``none``, ``flip`` (and its mirror image) or ``crops`` (twelve views)."""
    annotate: bool = False
    """Write each poster with its bars beside it, into ``annotated/``."""
    batch_size: int = 32
    """Posters the network takes at once."""
    gpus: str = "auto"
    """``auto`` (a CUDA GPU where there is one), ``0`` (the CPU) or ``1``."""
    precision: str = "auto"
    """``auto``, ``32``, ``bf16`` or ``16``."""
    output_dir: str = "outputs/predict"
    """Where ``predictions.csv`` and the pictures are written."""

    def __post_init__(self) -> None:
        for name in ("top", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        check_views(self.tta)


def predict(config: PredictConfig) -> list[Prediction]:
    """Print the top genres of each poster, write ``predictions.csv``, and return all answers in order.

    A ``*`` marks the genres that reach their thresholds: the poster's genres, as the column ``genres`` has them.

    Raises:
        DataError: No such posters, or some did not decode: the others are answered and written before it is raised.
    """
    console = Console()
    paths = find_posters(config.posters)
    hardware = choose_hardware(config.gpus, config.precision)
    predictor = Predictor.load(
        find_checkpoints(config.checkpoint), hardware, tta=config.tta, allow_empty=config.allow_empty
    )
    contract = predictor.contract
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    predictions = []
    with (output / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["poster", "genres", "top", *contract.genres, "error"])
        for path, prediction in zip(paths, predictor.predict_many(paths, batch_size=config.batch_size), strict=True):
            predictions.append(prediction)
            if prediction.error:
                console.print(
                    f"{path.name}: left out, {prediction.error}", markup=False, highlight=False, soft_wrap=True
                )
                table.writerow([path, "", "", *[""] * len(contract.genres), prediction.error])
                continue
            top, genres = prediction.top(config.top), prediction.genres
            told = ", ".join(f"{genre} {probability:.1%}{'*' if genre in genres else ''}" for genre, probability in top)
            if further := [genre for genre in genres if genre not in dict(top)]:
                told += f"; also {', '.join(f'{genre}*' for genre in further)}"
            console.print(f"{path.name}: {told}", markup=False, highlight=False, soft_wrap=True)
            numbers = (f"{probability:.6f}" for probability in prediction.probabilities.values())
            table.writerow([path, "|".join(genres), "|".join(genre for genre, _ in top), *numbers, ""])
            if config.annotate:
                _annotate(path, prediction, contract, output / "annotated")
    console.print("* reaches the threshold of its genre", highlight=False)
    console.print(
        f"written to {output}: predictions.csv" + (", annotated/" if config.annotate else ""),
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    if failed := [prediction for prediction in predictions if prediction.error]:
        raise DataError(f"{len(failed)} of {len(paths)} pictures did not decode; the others are answered")
    return predictions


def find_posters(posters: str) -> list[Path]:
    """Return the pictures that a file, folder or glob names, sorted.

    Raises:
        DataError: It names none.
    """
    place = Path(posters).expanduser()
    if place.is_file():
        return [place]
    if place.is_dir():
        readable = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
        paths = [path for path in sorted(place.iterdir()) if path.suffix.lower() in readable]
    else:
        paths = sorted(Path(name) for name in glob.glob(str(place), recursive=True) if Path(name).is_file())
    if not paths:
        kind = "no picture in the folder" if place.is_dir() else "no file, folder or match for"
        raise DataError(
            f"{kind} {posters}; posters takes a picture, a folder, or a quoted glob such as 'posters/*.jpg'"
        )
    return paths


def _annotate(path: Path, prediction: Prediction, contract: Contract, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    threshold = dict(zip(contract.genres, contract.thresholds, strict=True))
    answers = [
        Answer(genre=genre, probability=probability, threshold=threshold[genre])
        for genre, probability in prediction.top(NUM_BARS)
    ]
    picture = annotate(open_picture(path), answers, title=path.stem)
    name = f"{path.name}.png"  # the whole name: a.jpg and a.png are two posters
    while (folder / name).exists():
        name = f"{path.parent.name}_{name}"  # and so are a/1.jpg and b/1.jpg
    picture.save(folder / name)
