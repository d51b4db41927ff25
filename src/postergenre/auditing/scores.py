"""Probabilities of the posters' genres, from a file of predictions or from a checkpoint."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from postergenre.auditing.subject import Subject
from postergenre.classifier.contract import find_checkpoints
from postergenre.data.manifest import Problem, refuse
from postergenre.errors import DataError, brief_list
from postergenre.hardware import choose_hardware
from postergenre.inference.predictor import Predictor

FOLD = "fold"
"""Column that cross-validation adds to its predictions: nobody answers about a poster it was trained on."""
MEMORY = "who answered was trained on these posters ({}), and a label that was learnt by heart never looks wrong"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """What was answered about M of the posters that can be used, and g of their genres."""

    source: str
    """The file that answers were read from, or the checkpoints that gave them."""
    places: list[int]
    """M places in the manifest."""
    genres: list[str]
    """The g genres of the set that were answered about."""
    probabilities: npt.NDArray[np.float64]
    """``(M,g)``."""
    caution: str
    """Why the answers may be those of somebody who knew the labels; empty where they are out of fold."""
    notes: list[str]
    """What was left out, a sentence each."""


def read_predictions(path: Path, subject: Subject) -> Scores:
    """Return the answers in a ``predictions.csv``, whose posters are found by their path or else by their file name.

    Raises:
        DataError: There is no such file, or it does not answer about these posters.
    """
    if not path.is_file():
        raise DataError(f"no predictions at {path}; python scripts/crossvalidate.py … writes predictions.csv")
    with path.open(newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        try:
            rows = list(table)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"cannot read {path} as a UTF-8 CSV: {error}") from None
        columns = table.fieldnames or []
    genres = [genre for genre in subject.manifest.genres if genre in columns]
    if "poster" not in columns or not genres:
        raise DataError(
            f"{path} has no column {'of a genre of this set' if 'poster' in columns else 'poster'}; it has: "
            f"{brief_list(columns)}"
        )
    place_of = _places(subject)
    posters = [row["poster"] or "" for row in rows]  # a row that is cut short has none
    known = [place_of.get(poster, place_of.get(Path(poster).name, -1)) for poster in posters]
    used = set(subject.posters.kept)
    taken = [number for number, place in enumerate(known) if place in used]
    problems: list[Problem] = []
    values = np.array([list(_numbers(number, rows[number], genres, problems)) for number in taken]).reshape(
        -1, len(genres)
    )
    counts = Counter(known[number] for number in taken)
    problems += [
        (number + 2, "poster", f"{rows[number]['poster']} is answered {counts[known[number]]} times")
        for number in taken
        if counts[known[number]] > 1
    ]
    refuse(path, problems)
    if not taken:
        raise DataError(f"{path} answers about none of the {len(used)} posters that can be used: other posters?")
    notes = []
    if strangers := len(rows) - len(taken):
        notes.append(f"{strangers} row(s) of {path.name} are about posters that are not used here: left out")
    if silent := len(used) - len(taken):
        notes.append(f"{silent} poster(s) have no row in {path.name}: not looked for suspects in")
    if unknown := [genre for genre in subject.manifest.genres if genre not in genres]:
        notes.append(f"genres without a column in {path.name}: {', '.join(unknown)}")
    return Scores(
        source=str(path),
        places=[known[number] for number in taken],
        genres=genres,
        probabilities=np.array(values),
        caution="" if FOLD in columns else f"{path.name} has no column {FOLD!r}: {MEMORY.format('perhaps')}",
        notes=notes,
    )


def ask_checkpoint(named: Any, subject: Subject, *, gpus: str) -> Scores:
    """Return what a checkpoint, or several together, answer about the posters.

    Raises:
        PosterGenreError: A checkpoint cannot be used, or knows none of the genres.
    """
    paths = find_checkpoints(named)
    predictor = Predictor.load(paths, choose_hardware(gpus, "auto"))
    genres = [genre for genre in subject.manifest.genres if genre in predictor.contract.genres]
    if not genres:
        raise DataError(
            f"{paths[0]} knows none of the genres of this set; it knows: {', '.join(predictor.contract.genres)}"
        )
    kept = subject.posters.kept
    answers = predictor.predict_many([Path(subject.manifest.files[place]) for place in kept])
    answered = [(place, answer) for place, answer in zip(kept, answers, strict=True) if not answer.error]
    counts = [_trained_on(path, subject) for path in paths]
    known = [count for count in counts if count is not None]
    told = f"in {max(known):,} of {len(kept):,} cases" if known else "perhaps"
    unknown = [genre for genre in subject.manifest.genres if genre not in genres]
    return Scores(
        source=", ".join(map(str, paths)),
        places=[place for place, _ in answered],
        genres=genres,
        probabilities=np.array([[answer.probabilities[genre] for genre in genres] for _, answer in answered]),
        caution=MEMORY.format(told) if not known or max(known) else "",
        notes=[f"genres that the checkpoint does not know: {', '.join(unknown)}"] if unknown else [],
    )


def _places(subject: Subject) -> dict[str, int]:
    """Return the place of each poster by its path and, where only one is called so, by its file name."""
    files = subject.manifest.files
    names = Counter(Path(file).name for file in files)
    place_of = {Path(file).name: place for place, file in enumerate(files) if names[Path(file).name] == 1}
    return (
        place_of
        | {str(Path(file).absolute()): place for place, file in enumerate(files)}
        | {file: place for place, file in enumerate(files)}
    )


def _numbers(number: int, row: dict[str, str], genres: Sequence[str], problems: list[Problem]) -> Iterator[float]:
    for genre in genres:
        try:
            value = float(row[genre])
        except (TypeError, ValueError):
            value = float("nan")
        if not 0 <= value <= 1:
            problems.append((number + 2, genre, f"{row[genre]!r} is no probability"))
        yield value


def _trained_on(checkpoint: Path, subject: Subject) -> int | None:
    """Return how many of the posters the run that wrote a checkpoint trained on; None where it left no ``splits.csv``.

    They are told by their ids: those of another set are other posters, most likely.
    """
    path = checkpoint.parent.parent / "splits.csv"
    if not path.is_file():
        return None
    try:
        with path.open(newline="", encoding="utf-8") as file:
            trained = {row.get("id") for row in csv.DictReader(file) if row.get("split") == "train"}
    except (csv.Error, ValueError):  # it is torn
        return None
    return sum(subject.manifest.ids[place] in trained for place in subject.posters.kept)
