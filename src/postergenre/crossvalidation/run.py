"""Train and score each fold, and say what all of them say together."""

import csv
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from postergenre.classifier.contract import without_nan
from postergenre.crossvalidation.comparison import FoldComparison, check_comparable, compare, print_comparison, spread
from postergenre.crossvalidation.config import CrossvalidateConfig
from postergenre.data.datamodule import PosterData
from postergenre.data.posters import Posters
from postergenre.errors import ConfigError
from postergenre.evaluation import EvaluateConfig, Scored, scored
from postergenre.evaluation.terminal import narrow_table
from postergenre.metrics import genre_table, loss_interval, probability_scores
from postergenre.paths import expanded
from postergenre.stopping import stops_told
from postergenre.training import TrainConfig, train
from postergenre.training.ranks import launched

CHECKPOINT = Path("checkpoints", "best.ckpt")
"""Of a fold, in its folder."""
SHOWN = (
    ("mAP, headline genres", "map"),
    ("mAP, all genres", "map_all"),
    ("AUROC, macro", "auroc"),
    ("BCE", "bce"),
    ("ECE, headline genres", "ece_genres"),
    ("precision at 3", "precision_at_3"),
    ("recall at 3", "recall_at_3"),
    ("F1 micro at 0.5", "f1_micro"),
    ("F1 micro, tuned", "f1_micro_tuned"),
    ("F1 macro at 0.5", "f1_macro"),
    ("F1 macro, tuned", "f1_macro_tuned"),
    ("F1 weighted at 0.5", "f1_weighted"),
    ("F1 weighted, tuned", "f1_weighted_tuned"),
    ("F1 samples at 0.5", "f1_samples"),
    ("F1 samples, tuned", "f1_samples_tuned"),
    ("exact match, tuned", "exact_match_tuned"),
    ("Hamming loss, tuned", "hamming_tuned"),
)


@dataclass(kw_only=True, slots=True)
class Crossvalidated:
    """What a cross-validation found."""

    folds: list[dict[str, float]]
    """Scores of the test split of each fold."""
    pooled: dict[str, float]
    """Scores of all answers together, each by the network that did not see the poster: where calibration shows."""

    def mean(self, name: str) -> float:
        """Return the mean of a score over folds."""
        return statistics.fmean(fold[name] for fold in self.folds)

    def deviation(self, name: str) -> float:
        """Return the standard deviation of a score over folds; NaN for one fold."""
        return statistics.stdev(fold[name] for fold in self.folds) if len(self.folds) > 1 else float("nan")


def crossvalidate(config: CrossvalidateConfig) -> Crossvalidated:
    """Train and score each fold; print and write mean and standard deviation of every score.

    A fold's checkpoint is chosen, calibrated and given its thresholds by its validation posters; its test posters are
    scored once. Folds that a former run left in ``output_dir`` with the same settings are read and not trained again.
    Of an ensemble, the checkpoints that former runs left answer together.

    Raises:
        PosterGenreError: A setting, the posters or a checkpoint cannot be used.
    """
    if launched() is not None:
        raise ConfigError("cross-validation starts the processes of its folds itself: leave torchrun or srun out")
    if config.against:
        check_comparable(expanded(config.against), config.folds)
    console = Console()
    output = Path(config.output_dir)
    if config.ensemble:
        found = _ensemble(config)
    else:
        posters = _read(config)  # once: a fold only parts them anew
        found = [_fold(config, fold, console, posters) for fold in config.folds]
    contract = found[0].contract
    raw, logits, targets = (torch.cat([getattr(fold, name) for fold in found]) for name in ("raw", "logits", "targets"))
    headline = contract.headline_mask()
    result = Crossvalidated(folds=[fold.scores for fold in found], pooled=_pooled(raw, logits, targets, headline))
    rows = genre_table(
        logits,
        targets,
        raw=raw,
        genres=contract.genres,
        thresholds=torch.tensor([fold.contract.thresholds for fold in found]).mean(dim=0),
    )
    for i, row in enumerate(rows):  # a ranking that mixes the scales of five networks is no network's
        for name in ("ap", "auroc", "f1", "precision", "recall"):
            row[name] = statistics.fmean(float(fold.genres[i][name]) for fold in found)
    against = compare(output, expanded(config.against), config.folds) if config.against else None
    _write(config, result, rows, found, output, against)
    _print(console, result, found, rows)
    low, high = loss_interval(logits, targets)
    console.print(
        f"all {len(targets)} answers together: BCE {result.pooled['bce']:.4f} [{low:.4f}, {high:.4f}], "
        f"ECE {result.pooled['ece_genres_before']:.4f} before calibration, {result.pooled['ece_genres']:.4f} after",
        highlight=False,
        soft_wrap=True,
    )
    if against:
        print_comparison(console, against)
    console.print(
        f"written to {output}: crossvalidation.json, per_genre.csv, predictions.csv, fold0/ …",
        highlight=False,
        soft_wrap=True,
    )
    return result


def _read(config: CrossvalidateConfig) -> Posters:
    root = expanded(config.data.root).absolute()  # as checkpoints name it
    data = PosterData(replace(config.data, root=str(root)), config.preprocess, mapping=config.genres)
    data.prepare_data()
    return data.read()


def _fold(config: CrossvalidateConfig, fold: int, console: Console, posters: Posters) -> Scored:
    folder = Path(config.output_dir) / f"fold{fold}"
    settings = {
        name: value
        for name, value in asdict(config).items()
        if name in TrainConfig.__dataclass_fields__ and name != "output_dir"
    }
    settings["data"] |= {"fold": fold, "workers": None, "cache": None, "cache_limit": None}
    for name in ("exclude", "relabel"):  # what they say matters, not where they lie
        del settings["data"][name]
    if posters.corrections:
        settings["data"]["corrections"] = posters.corrections.digest
    memory, checkpoint = folder / "settings.json", folder / CHECKPOINT
    told = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    if memory.is_file() and checkpoint.is_file():
        if memory.read_text(encoding="utf-8") != told:
            raise ConfigError(f"{folder} was trained with other settings; give another output folder")
        console.print(f"fold {fold}: trained before", highlight=False)
    else:
        console.print(f"fold {fold}", style="bold", highlight=False)
        kept = stops_told(
            f"stopped in fold {fold}; those before it are kept, and the same command with "
            f"hydra.run.dir={config.output_dir} does not train them again"
        )
        with kept:
            train(_training(config, fold, folder), posters=posters, pictures=False)
        memory.write_text(told, encoding="utf-8")  # last: an interrupted fold is trained again
    return _tested(config, fold, [checkpoint], posters=posters)


def _ensemble(config: CrossvalidateConfig) -> list[Scored]:
    checkpoints = {
        fold: [expanded(member) / f"fold{fold}" / CHECKPOINT for member in config.ensemble] for fold in config.folds
    }
    for fold, paths in checkpoints.items():  # all, before any answers
        for member, path in zip(config.ensemble, paths, strict=True):
            if not path.is_file():
                raise ConfigError(f"{member} of the ensemble has no fold {fold}: there is no {path}")
    return [_tested(config, fold, paths) for fold, paths in checkpoints.items()]


def _tested(
    config: CrossvalidateConfig, fold: int, checkpoints: Sequence[Path], *, posters: Posters | None = None
) -> Scored:
    return scored(
        EvaluateConfig(
            checkpoint=[str(path) for path in checkpoints],
            split="test",
            tta=config.tta,
            report=False,
            gpus=config.trainer.gpus if config.trainer.gpus in ("auto", "0") else "1",
            num_resamples=100,  # the spread over folds says more
            output_dir=str(Path(config.output_dir) / f"fold{fold}" / "test"),
        ),
        Console(quiet=True),
        posters=posters,
    )


def _training(config: CrossvalidateConfig, fold: int, folder: Path) -> TrainConfig:
    names = TrainConfig.__dataclass_fields__
    settings: dict[str, Any] = {name: getattr(config, name) for name in names}
    settings |= {"data": replace(config.data, fold=fold), "output_dir": str(folder)}
    return TrainConfig(**settings)


def _pooled(raw: Tensor, logits: Tensor, targets: Tensor, headline: Tensor) -> dict[str, float]:
    after, before = (probability_scores(answers, targets, headline=headline) for answers in (logits, raw))
    return {name: float(value) for name, value in after.items()} | {
        f"{name}_before": float(value) for name, value in before.items()
    }


def _write(
    config: CrossvalidateConfig,
    result: Crossvalidated,
    rows: list[dict[str, str | float]],
    found: list[Scored],
    output: Path,
    against: FoldComparison | None,
) -> None:
    summary = {
        "command": found[0].command,
        "folds": dict(zip(map(str, config.folds), result.folds, strict=True)),
        "mean": {name: result.mean(name) for name in result.folds[0]},
        "sd": {name: result.deviation(name) for name in result.folds[0]},
        "baselines": {name: statistics.fmean(fold.baselines[name] for fold in found) for name in found[0].baselines},
        "pooled": result.pooled,
        "against": asdict(against) if against else None,
    }
    (output / "crossvalidation.json").write_text(
        json.dumps(without_nan(summary), indent=2, allow_nan=False) + "\n", encoding="utf-8"
    )
    with (output / "per_genre.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    with (output / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        header, *_ = _lines(Path(config.output_dir) / f"fold{config.folds[0]}")
        file.write("fold," + header)
        for fold in config.folds:
            file.writelines(f"{fold},{line}" for line in _lines(output / f"fold{fold}")[1:])


def _lines(folder: Path) -> list[str]:
    with (folder / "test" / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return file.readlines()


def _print(console: Console, result: Crossvalidated, found: list[Scored], rows: list[dict[str, str | float]]) -> None:
    count = len(result.folds)
    table = narrow_table(f"{count} fold{'s' if count > 1 else ''}, test splits")
    for name in ("score", "mean ± sd", "knowing nothing"):
        table.add_column(name, justify="left" if name == "score" else "right")
    for label, name in SHOWN:
        nothing = statistics.fmean(fold.baselines[name] for fold in found)
        table.add_row(label, spread(f"{result.mean(name):.4f}", result.deviation(name)), f"{nothing:.4f}")
    counted = "{:.0f} | {:.0f}".format(*(result.folds[0][name] for name in ("num_genres", "num_genres_all")))
    table.add_row("genres in mAP | all, first fold", counted, "")
    console.print(table)
    genres = narrow_table("by genre: means over folds; calibration of all answers")
    for name in ("genre", "support", "chance", "ap", "auroc", "f1", "ece_before", "ece"):
        genres.add_column(name.replace("ece_before", "before"), justify="left" if name == "genre" else "right")
    for row in sorted(rows, key=lambda row: -int(row["support"])):
        cells = (row[name] for name in ("genre", "support", "chance", "ap", "auroc", "f1", "ece_before", "ece"))
        genres.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells))
    console.print(genres)
