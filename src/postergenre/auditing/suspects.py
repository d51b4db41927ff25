"""Labels that look wrong, and labels that seem to be missing, the most suspect first."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from postergenre.auditing.scores import Scores
from postergenre.auditing.subject import Subject
from postergenre.errors import ConfigError
from postergenre.evaluation.report.findings import Floats, Marks


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspect:
    """One genre of one poster whose label looks wrong."""

    rank: int
    """1 is the most suspect; the row of ``suspects.csv``."""
    place: int
    """Of the poster in the manifest."""
    genre: str
    given: bool
    """Whether the poster has the genre; it is suspected that it should be otherwise."""
    probability: float
    """That the poster has the genre, as was answered."""
    score: float
    """Probability of the label as it is, 0 … 1: the lower, the more suspect."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspects:
    """What the answers make suspect."""

    scores: Scores
    wrong: list[Suspect]
    """Given, and likely wrong; the most suspect first, as many as were asked for."""
    missing: list[Suspect]
    """Not given, and likely missing; likewise."""
    counts: dict[str, tuple[int, int]]
    """For each genre how many labels are likely wrong, and how many likely missing, all of them."""

    @property
    def all(self) -> list[Suspect]:
        """Both kinds in one order."""
        return sorted([*self.wrong, *self.missing], key=lambda suspect: suspect.rank)


def find_suspects(scores: Scores, subject: Subject, *, most: int) -> Suspects:
    """Return the labels that disagree with the answers more than the answers' own errors explain.

    How many labels of each genre are wrong and missing is estimated by confident learning (Northcutt et al., 2021),
    genre by genre, as cleanlab does for several labels a poster; so many of the least probable ones are suspects. They
    are ranked by their labels' probability.

    Args:
        scores: The answers.
        subject: The posters.
        most: At most so many of each kind.

    Raises:
        ConfigError: cleanlab is not installed.
    """
    try:
        from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
        from cleanlab.multilabel_classification.rank import get_label_quality_scores_per_class
    except ImportError as error:
        raise ConfigError(f"suspects need cleanlab ({error}): pip install 'postergenre[audit]'") from None
    columns = [subject.manifest.genres.index(genre) for genre in scores.genres]
    marks = subject.posters.targets[scores.places][:, columns].numpy() > 0  # (M, g)
    both: Marks = np.asarray(marks.any(axis=0) & ~marks.all(axis=0))  # what all or none have, nobody can doubt
    genres = [genre for genre, some in zip(scores.genres, both, strict=True) if some]
    counts = dict.fromkeys(scores.genres, (0, 0))
    if not genres:
        return Suspects(scores=scores, wrong=[], missing=[], counts=counts)
    marks, probabilities = marks[:, both], scores.probabilities[:, both]
    labels = [np.flatnonzero(row).tolist() for row in marks]
    # One process: what there is to do is too little to be shared out, and forks do not go with threads.
    flagged = np.asarray(find_multilabel_issues_per_class(labels, probabilities, n_jobs=1), dtype=bool)
    quality = np.asarray(get_label_quality_scores_per_class(labels, probabilities, method="self_confidence"))
    chosen = np.concatenate([_least(quality, flagged & marks, most), _least(quality, flagged & ~marks, most)])
    rows, places = chosen[np.argsort(quality[tuple(chosen.T)], kind="stable")].T
    ranked = [
        Suspect(
            rank=rank,
            place=scores.places[row],
            genre=genres[column],
            given=bool(marks[row, column]),
            probability=float(probabilities[row, column]),
            score=float(quality[row, column]),
        )
        for rank, (row, column) in enumerate(zip(rows.tolist(), places.tolist(), strict=True), start=1)
    ]
    wrong, missing = (flagged & marks).sum(axis=0).tolist(), (flagged & ~marks).sum(axis=0).tolist()
    return Suspects(
        scores=scores,
        wrong=[suspect for suspect in ranked if suspect.given],
        missing=[suspect for suspect in ranked if not suspect.given],
        counts=counts | dict(zip(genres, zip(wrong, missing, strict=True), strict=True)),
    )


def _least(quality: Floats, among: Marks, most: int) -> npt.NDArray[np.intp]:
    """Return ``(K,2)`` rows and columns of the ``most`` least values ``among`` those marked, the least first."""
    places = np.argwhere(among)
    return places[np.argsort(quality[tuple(places.T)], kind="stable")[:most]]


def write_suspects(suspects: Suspects, subject: Subject, path: Path) -> None:
    """Write a row for each suspect, the most suspect first, as ``data.relabel`` and ``data.exclude`` take them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "genre", "given", "suggested", "probability", "score", "rank"])
        for suspect in suspects.all:
            table.writerow(
                [
                    subject.manifest.ids[suspect.place],
                    suspect.genre,
                    int(suspect.given),
                    int(not suspect.given),
                    f"{suspect.probability:.6f}",
                    f"{suspect.score:.6f}",
                    suspect.rank,
                ]
            )
