"""Scores of some of the posters: those of a country, a decade, a source."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from postergenre.classifier.contract import Contract
from postergenre.data.columns import UNKNOWN
from postergenre.metrics import bootstrap_intervals, random_average_precision, score

KEPT = ("map", "map_all", "auroc", "bce", "bce_prior", "ece_genres", "ece", "num_genres", "num_genres_all")


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """The posters that share a value of a column, and what the answers about them are worth."""

    name: str
    """The value."""
    num_posters: int
    scores: dict[str, float]
    """As ``metrics.score`` names them; ``map`` is over the headline genres that a poster of the group has.
    ``map_random`` and ``map_all_random`` are what a random order of these posters scores in the mean: more, the fewer
    they are, as does every ranking."""
    interval: tuple[float, float]
    """95 % bootstrap interval of ``map``."""


def group_scores(
    values: Sequence[tuple[str, ...]],
    *,
    logits: Tensor,
    targets: Tensor,
    contract: Contract,
    smallest: int,
    num_resamples: int,
) -> list[Group]:
    """Return the scores of each value of a column, the most frequent first, or in order where they begin with a digit.

    Args:
        values: Of each of the N posters; one with several counts in each of their groups.
        logits: ``(N,G)``, calibrated.
        targets: ``(N,G)``.
        contract: Of the checkpoint.
        smallest: Values with fewer posters are put together at the end.
        num_resamples: Bootstrap resamples behind each interval.
    """
    counts = Counter(value for held in values for value in held)
    few = {value for value, count in counts.items() if count < smallest}
    large = [value for value, _ in counts.most_common() if value not in few]
    if all(value[:1].isdigit() for value in large if value != UNKNOWN):
        large.sort()  # years, decades; a letter comes after them
    members = {value: [row for row, held in enumerate(values) if value in held] for value in large}
    if few:
        told = f"{len(few)} others (< {smallest} each)" if len(few) > 1 else f"{min(few)} (< {smallest})"
        members[told] = [row for row, held in enumerate(values) if few & set(held)]
    return [
        _group(name, logits[rows], targets[rows], contract, num_resamples=num_resamples)
        for name, rows in members.items()
    ]


def _group(name: str, logits: Tensor, targets: Tensor, contract: Contract, *, num_resamples: int) -> Group:
    headline = contract.headline_mask()
    scores = score(logits, targets, priors=torch.tensor(contract.priors), headline=headline)
    by_chance = random_average_precision(targets.sum(dim=0), len(targets))  # NaN where nobody has a genre
    random = {"map_random": by_chance[headline].nanmean(), "map_all_random": by_chance.nanmean()}
    intervals = bootstrap_intervals(logits, targets, headline=headline, num_resamples=num_resamples)
    return Group(
        name=name,
        num_posters=len(targets),
        scores={key: float(value) for key, value in ({key: scores[key] for key in KEPT} | random).items()},
        interval=intervals["map"],
    )
