"""Score a checkpoint on the posters it was trained beside, or on others."""

import csv
import json
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import torch
from rich.console import Console
from torch.utils.tensorboard import SummaryWriter

from postergenre.classifier.contract import find_checkpoints, without_nan
from postergenre.data.posters import Posters
from postergenre.errors import CheckpointError
from postergenre.evaluation.answers import Answers, answer
from postergenre.evaluation.comparison import Comparison, compare
from postergenre.evaluation.config import EvaluateConfig
from postergenre.evaluation.elsewhere import beside_home
from postergenre.evaluation.groups import group_scores
from postergenre.evaluation.scored import Scored
from postergenre.evaluation.terminal import print_scores
from postergenre.metrics import bootstrap_intervals, constant_scores, genre_table, score
from postergenre.web import command_line


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
    found = _scored(checkpoints, answers, config)
    if config.against:
        found.against = _against(config, answers)
    output = Path(config.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    _write(found, output)
    if config.report:
        # Plotting is slow to import, and most evaluations of a study write no report.
        from postergenre.evaluation.card import write_card
        from postergenre.evaluation.report import write_report

        write_report(found, output)
        write_card(found, output)
    for note in answers.notes:
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    print_scores(console, found)
    written = ["metrics.json", "per_genre.csv", "predictions.csv", "tensorboard/"]
    if config.report:
        written += ["report.html", "MODEL_CARD.md"]
    console.print(f"written to {output}: {', '.join(written)}", highlight=False, soft_wrap=True)
    return found


def _scored(checkpoints: list[Path], answers: Answers, config: EvaluateConfig) -> Scored:
    contract, logits, targets, columns = answers.contract, answers.logits, answers.targets, answers.columns
    priors, thresholds = torch.tensor(contract.priors), torch.tensor(contract.thresholds)
    headline = contract.headline_mask()
    scores = score(logits, targets, priors=priors, headline=headline, thresholds=thresholds, raw=answers.raw)
    rows = genre_table(logits, targets, raw=answers.raw, genres=contract.genres, thresholds=thresholds)
    elsewhere = answers.elsewhere
    if elsewhere:
        elsewhere = beside_home(elsewhere, rows, contract, config.home, alone=len(checkpoints) == 1)
    return Scored(
        checkpoint=", ".join(str(path) for path in checkpoints),
        split=answers.split,
        hardware=str(answers.hardware),
        command=command_line("python"),
        contract=contract,
        paths=answers.paths,
        picture=answers.picture,
        raw=answers.raw,
        logits=logits,
        targets=targets,
        scores={name: float(value) for name, value in scores.items()},
        baselines=constant_scores(targets, priors=priors, headline=headline),
        intervals=bootstrap_intervals(logits, targets, headline=headline, num_resamples=config.num_resamples),
        genres=rows,
        history=_history(checkpoints[0]),
        notes=answers.notes,
        groups={
            name: group_scores(
                values,
                logits=logits,
                targets=targets,
                contract=contract,
                smallest=config.min_group,
                num_resamples=config.num_resamples,
            )
            for name, values in columns.items()
        },
        elsewhere=elsewhere,
    )


def _history(checkpoint: Path) -> list[dict[str, float]]:
    """Return the epochs in the ``metrics.csv`` of the run that wrote a checkpoint; none where that is gone or torn."""
    place = checkpoint.parent.parent / "metrics.csv"
    epochs: dict[int, dict[str, float]] = {}
    if not place.is_file():
        return []
    with suppress(csv.Error, ValueError, OverflowError, TypeError), place.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(line for line in file if line.endswith("\n")):  # a killed run's last may be cut
            if row.get("epoch"):
                values = {name: float(value) for name, value in row.items() if value and name}
                epochs.setdefault(int(float(row["epoch"])), {}).update(values)
    return [epochs[number] for number in sorted(epochs)]


def _against(config: EvaluateConfig, answers: Answers) -> Comparison:
    others = answer(find_checkpoints(config.against), replace(config, groups=[]))
    if others.contract.genres != answers.contract.genres or not answers.on_posters_of(others):
        raise CheckpointError(
            f"{config.against} was trained beside other {answers.split} posters or genres than {config.checkpoint}: "
            "the two cannot be compared"
        )
    return compare(
        answers.logits,
        others.logits,
        answers.targets,
        contract=answers.contract,
        other=", ".join(config.against) if isinstance(config.against, list) else str(config.against),
        num_resamples=config.num_resamples,
    )


def _write(found: Scored, output: Path) -> None:
    contract = found.contract
    report = {
        "checkpoint": found.checkpoint,
        "split": found.split,
        "hardware": found.hardware,
        "command": found.command,
        "scores": found.scores,
        "baselines": found.baselines,
        "intervals": found.intervals,
        "genres": found.genres,
        "groups": {name: [asdict(group) for group in groups] for name, groups in found.groups.items()},
        "elsewhere": asdict(found.elsewhere) if found.elsewhere else None,
        "against": found.against.plain() if found.against else {},
        "notes": found.notes,
        "provenance": contract.provenance,
    }
    told = json.dumps(without_nan(report), indent=2, allow_nan=False)
    (output / "metrics.json").write_text(told + "\n", encoding="utf-8")
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
