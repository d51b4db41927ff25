"""Two cross-validations of the same posters, genre by genre: what did another loss, or another balance, change?"""

import csv
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from postergenre.errors import ConfigError
from postergenre.evaluation.terminal import narrow_table

SHOWN = ("map", "map_all", "auroc", "bce", "f1_macro_tuned", "ece_genres")


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldDifference:
    """One score in both, over the folds: of the first, of the other, and the difference."""

    name: str
    """Of a score, or of a genre, whose average precision it is."""
    support: int
    """Posters that have the genre, in all folds; 0 for a score of all genres."""
    mean: float
    other: float
    difference: float
    """Mean over folds, first minus other."""
    sd: float
    """Standard deviation of the difference over folds; NaN for one."""
    higher: int
    """Folds in which the first is higher."""
    folds: int
    """Folds that know the score."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldComparison:
    """The differences of one cross-validation from another."""

    other: str
    scores: list[FoldDifference]
    genres: list[FoldDifference]
    left_out: list[str]
    """Genres that only one of them knows, or that other posters have in the other."""


def compare(ours: Path, other: Path, folds: Sequence[int]) -> FoldComparison:
    """Return how the folds of ``ours`` differ from those of ``other``, fold by fold on the same test posters.

    Args:
        ours: Folder of a cross-validation.
        other: Of what it is compared with.
        folds: Which folds both have.

    Raises:
        ConfigError: The other is no such folder, lacks a fold, or tested other posters in one.
    """
    sides = [[_Fold.read(folder / f"fold{fold}" / "test") for fold in folds] for folder in (ours, other)]
    for fold, mine, theirs in zip(folds, *sides, strict=True):
        if mine.truth.keys() != theirs.truth.keys():
            raise ConfigError(f"fold {fold} of {other} tested other posters: the two cannot be compared")
    known = [set(fold.ap) for side in sides for fold in side]
    pairs = list(zip(*sides, strict=True))
    same = [
        genre
        for genre in sides[0][0].ap
        if all(genre in genres for genres in known)
        and all(mine.has(genre) == theirs.has(genre) for mine, theirs in pairs)  # a merged one is another one
    ]
    return FoldComparison(
        other=str(other),
        scores=[_difference(name, 0, *([fold.scores[name] for fold in side] for side in sides)) for name in SHOWN],
        genres=[
            _difference(
                genre,
                sum(len(fold.has(genre)) for fold in sides[0]),
                *([fold.ap[genre] for fold in side] for side in sides),
            )
            for genre in same
        ],
        left_out=sorted(set().union(*known) - set(same)),
    )


def check_comparable(other: Path, folds: Sequence[int]) -> None:
    """See to it that a folder can be compared with, before anything is trained.

    Raises:
        ConfigError: It is not that of a cross-validation, or lacks a fold.
    """
    for fold in folds:
        _Fold.read(other / f"fold{fold}" / "test")


def print_comparison(console: Console, found: FoldComparison) -> None:
    """Print the differences, the most frequent genres first."""
    table = narrow_table(f"minus {found.other}, fold by fold")
    for name in ("score", "support", "mean", "other", "difference ± sd", "higher in"):
        table.add_column(name, justify="left" if name == "score" else "right")
    for row in [*found.scores, *sorted(found.genres, key=lambda row: -row.support)]:
        table.add_row(
            row.name if not row.support else f"  {row.name}",
            str(row.support or ""),
            f"{row.mean:.4f}",
            f"{row.other:.4f}",
            spread(f"{row.difference:+.4f}", row.sd),
            f"{row.higher} of {row.folds}",
        )
    console.print(table)
    console.print("scores of all genres, then the average precision of each", highlight=False)
    if found.left_out:
        console.print(
            f"not the same genre in both, left out: {', '.join(found.left_out)}", highlight=False, soft_wrap=True
        )


def spread(mean: str, deviation: float) -> str:
    """Return a mean over folds as it is printed: with its standard deviation, where there is one."""
    return mean if deviation != deviation else f"{mean} ± {deviation:.4f}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fold:
    """What the evaluation of a fold wrote."""

    scores: dict[str, float]
    ap: dict[str, float]
    """Of each genre."""
    truth: dict[str, frozenset[str]]
    """The genres of each poster by the name of its file."""

    @classmethod
    def read(cls, folder: Path) -> "_Fold":
        try:
            scores = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["scores"]
            with (folder / "per_genre.csv").open(newline="", encoding="utf-8") as file:
                ap = {row["genre"]: float(row["ap"]) for row in csv.DictReader(file)}
            with (folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
                truth = {
                    Path(row["poster"]).name: frozenset(filter(None, row["genres"].split("|")))
                    for row in csv.DictReader(file)
                }
            numbers = {name: float("nan") if scores[name] is None else float(scores[name]) for name in SHOWN}
        except OSError:
            raise ConfigError(
                f"against={folder.parent.parent} has no scores of {folder.parent.name}: give the folder that a "
                "cross-validation of the same folds wrote"
            ) from None
        except (KeyError, TypeError, ValueError, AttributeError, csv.Error) as error:
            raise ConfigError(
                f"{folder} does not hold what an evaluation writes: {type(error).__name__}, {error}"
            ) from None
        return cls(scores=numbers, ap=ap, truth=truth)

    def has(self, genre: str) -> set[str]:
        return {poster for poster, genres in self.truth.items() if genre in genres}


def _difference(name: str, support: int, ours: list[float], theirs: list[float]) -> FoldDifference:
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a == a and b == b]  # a fold may lack the genre
    differences = [a - b for a, b in pairs]
    nothing = float("nan")
    return FoldDifference(
        name=name,
        support=support,
        mean=statistics.fmean(a for a, _ in pairs) if pairs else nothing,
        other=statistics.fmean(b for _, b in pairs) if pairs else nothing,
        difference=statistics.fmean(differences) if pairs else nothing,
        sd=statistics.stdev(differences) if len(pairs) > 1 else nothing,
        higher=sum(difference > 0 for difference in differences),
        folds=len(pairs),
    )
