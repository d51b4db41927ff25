"""Score a checkpoint on the posters it was trained beside, or on others."""

import csv
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch.utils.tensorboard import SummaryWriter

from postergenre.classifier.contract import find_checkpoints
from postergenre.data.posters import Posters
from postergenre.errors import CheckpointError
from postergenre.evaluation.answers import Answers, answer
from postergenre.evaluation.config import EvaluateConfig
from postergenre.evaluation.scored import Scored
from postergenre.metrics import (
    Difference,
    bootstrap_intervals,
    constant_scores,
    genre_table,
    paired_bootstrap,
    score,
)

HEADLINES = (
    ("mAP, headline genres", "map"),
    ("mAP, all genres", "map_all"),
    ("AUROC, macro", "auroc"),
    ("BCE", "bce"),
    ("ECE, headline genres", "ece_genres"),
    ("ECE, all answers", "ece"),
    ("binary accuracy", "accuracy"),
    ("precision at 3", "precision_at_3"),
    ("recall at 3", "recall_at_3"),
    ("F1 micro 0.5 | tuned", "f1_micro"),
    ("F1 macro 0.5 | tuned", "f1_macro"),
    ("F1 weighted 0.5 | tuned", "f1_weighted"),
    ("F1 samples 0.5 | tuned", "f1_samples"),
    ("exact match 0.5 | tuned", "exact_match"),
    ("Hamming loss 0.5 | tuned", "hamming"),
)


def evaluate(config: EvaluateConfig) -> dict[str, float]:
    """Return every score of a checkpoint by name; prints them and writes what ``scored`` writes.

    Raises:
        PosterGenreError: A checkpoint or its posters cannot be used, or the posters are not those of training.
    """
    return scored(config, Console()).scores


def scored(config: EvaluateConfig, console: Console, *, posters: Posters | None = None) -> Scored:
    """Return everything that scoring a checkpoint finds.

    Writes ``metrics.json``, ``per_genre.csv``, ``predictions.csv``, ``report.html`` and ``MODEL_CARD.md``; TensorBoard
    gets the scores as ``<split>/<name>``, at the step of the checkpoint.

    Args:
        config: What to score.
        console: Where to print.
        posters: The posters the checkpoint was trained beside, where they were read before.

    Raises:
        PosterGenreError: A checkpoint or its posters cannot be used, or the posters are not those of training.
    """
    checkpoints = find_checkpoints(config.checkpoint)
    answers = answer(checkpoints, config, posters=posters)
    against = _against(config, answers) if config.against else {}
    found = _scored(checkpoints, answers, config)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    _write(found, against, output)
    if config.report:
        # Plotting is slow to import, and most evaluations of a study write no report.
        from postergenre.evaluation.card import write_card
        from postergenre.evaluation.report import write_report

        write_report(found, output)
        write_card(found, output)
    for note in answers.notes:
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    _print(console, found)
    if against:
        _print_difference(console, config, against)
    written = ["metrics.json", "per_genre.csv", "predictions.csv", "tensorboard/"]
    if config.report:
        written += ["report.html", "MODEL_CARD.md"]
    console.print(f"written to {output}: {', '.join(written)}", highlight=False, soft_wrap=True)
    return found


def _scored(checkpoints: list[Path], answers: Answers, config: EvaluateConfig) -> Scored:
    contract, logits, targets = answers.contract, answers.logits, answers.targets
    priors, thresholds = torch.tensor(contract.priors), torch.tensor(contract.thresholds)
    headline = contract.headline_mask()
    scores = score(logits, targets, priors=priors, headline=headline, thresholds=thresholds, raw=answers.raw)
    return Scored(
        checkpoint=", ".join(str(path) for path in checkpoints),
        split=answers.split,
        hardware=str(answers.hardware),
        command=shlex.join(["python", *sys.argv]),
        contract=contract,
        paths=answers.paths,
        picture=answers.picture,
        raw=answers.raw,
        logits=logits,
        targets=targets,
        scores={name: float(value) for name, value in scores.items()},
        baselines=constant_scores(targets, priors=priors, headline=headline),
        intervals=bootstrap_intervals(logits, targets, headline=headline, num_resamples=config.num_resamples),
        genres=genre_table(logits, targets, raw=answers.raw, genres=contract.genres, thresholds=thresholds),
        history=_history(checkpoints[0]),
    )


def _history(checkpoint: Path) -> list[dict[str, float]]:
    """Return the epochs in the ``metrics.csv`` of the run that wrote a checkpoint."""
    place = checkpoint.parent.parent / "metrics.csv"
    epochs: dict[int, dict[str, float]] = {}
    if place.is_file():
        with place.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row.get("epoch"):
                    values = {name: float(value) for name, value in row.items() if value and name}
                    epochs.setdefault(int(float(row["epoch"])), {}).update(values)
    return [epochs[number] for number in sorted(epochs)]


def _against(config: EvaluateConfig, answers: Answers) -> dict[str, Difference]:
    others = answer(find_checkpoints(config.against), config)
    if others.contract.genres != answers.contract.genres or others.paths != answers.paths:
        raise CheckpointError(
            f"{config.against} was trained beside other {answers.split} posters or genres than {config.checkpoint}: "
            "the two cannot be compared"
        )
    headline = answers.contract.headline_mask()
    return paired_bootstrap(
        answers.logits, others.logits, answers.targets, headline=headline, num_resamples=config.num_resamples
    )


def _write(found: Scored, against: dict[str, Difference], output: Path) -> None:
    contract = found.contract
    report = {
        "checkpoint": found.checkpoint,
        "split": found.split,
        "hardware": found.hardware,
        "command": found.command,
        "scores": found.scores,
        "baselines": found.baselines,
        "intervals": found.intervals,
        "against": {name: asdict(difference) for name, difference in against.items()},
        "provenance": contract.provenance,
    }
    (output / "metrics.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    with SummaryWriter(str(output / "tensorboard")) as board:
        step = int(contract.provenance.get("step", 0))
        for name, value in found.scores.items():
            board.add_scalar(f"{found.split}/{name}", value, step)
    with (output / "per_genre.csv").open("w", newline="", encoding="utf-8") as file:
        genres = csv.DictWriter(file, fieldnames=list(found.genres[0]))
        genres.writeheader()
        genres.writerows(found.genres)
    with (output / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["poster", "genres", *contract.genres])
        for path, target, row in zip(found.paths, found.targets, found.logits.sigmoid(), strict=True):
            true = "|".join(genre for genre, has in zip(contract.genres, target.tolist(), strict=True) if has)
            table.writerow([path, true, *(f"{probability:.6f}" for probability in row.tolist())])


def _print(console: Console, found: Scored) -> None:
    table = narrow_table(f"{found.split}: {len(found.targets)} posters, {found.hardware}")
    for name in ("score", "model", "95 % interval", "knowing nothing"):
        table.add_column(name, justify="left" if name == "score" else "right")
    for label, name in HEADLINES:
        interval = "{:.4f} … {:.4f}".format(*found.intervals[name]) if name in found.intervals else ""
        table.add_row(label, _told(found.scores, name), interval, _told(found.baselines, name))
    counted = f"{found.scores['num_genres']:.0f} | {found.scores['num_genres_all']:.0f}"
    table.add_row("genres in mAP | all", counted, "", "")
    console.print(table)
    console.print(
        f"ECE of the headline genres before calibration: {found.scores['ece_genres_before']:.4f}", highlight=False
    )
    genres = narrow_table("by genre, at the checkpoint's thresholds")
    shown = [name for name in found.genres[0] if not name.startswith("ece")]  # as wide as a terminal is
    for name in shown:
        genres.add_column(name, justify="left" if name == "genre" else "right")
    for row in sorted(found.genres, key=lambda row: -int(row["support"])):
        cells = (row[name] for name in shown)
        genres.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells))
    console.print(genres)


def _told(scores: dict[str, float], name: str) -> str:
    tuned = f" | {scores[f'{name}_tuned']:.4f}" if f"{name}_tuned" in scores else ""
    return f"{scores[name]:.4f}{tuned}"


def _print_difference(console: Console, config: EvaluateConfig, against: dict[str, Difference]) -> None:
    table = narrow_table(f"minus {config.against}, on the same posters")
    for name in ("score", "difference", "95 % interval", "p"):
        table.add_column(name, justify="left" if name == "score" else "right")
    for name, difference in against.items():
        interval = "{:+.4f} … {:+.4f}".format(*difference.interval)
        table.add_row(name, f"{difference.score:+.4f}", interval, f"{difference.p_value:.3f}")
    console.print(table)
    low, high = against["map"].interval
    verdict = "is real: its interval leaves 0 out" if low > 0 or high < 0 else "may be chance: its interval holds 0"
    console.print(f"the difference in mAP {verdict}", highlight=False)


def narrow_table(title: str) -> Table:
    """Return an empty table narrow enough for 80 columns."""
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
