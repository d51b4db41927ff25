"""Two checkpoints on the same posters: what differs, in all and genre by genre."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from postergenre.classifier.contract import Contract
from postergenre.metrics import Difference, average_precision, paired_bootstrap, stand_together


@dataclass(kw_only=True, slots=True)
class Comparison:
    """The differences of one checkpoint from another."""

    other: str
    """What it is compared with."""
    scores: dict[str, Difference]
    """Of ``map``, ``map_all`` and ``bce``."""
    genres: list[dict[str, Any]]
    """A row per genre with a poster: ``genre``, ``support``, ``ap``, ``other_ap``, ``difference``, the ends ``low`` and
    ``high`` of its 95 % interval, ``p``, and ``holds``: whether it stands when all genres are looked at."""

    def plain(self) -> dict[str, Any]:
        """Return it as dicts, lists, text and numbers."""
        return {name: asdict(difference) for name, difference in self.scores.items()} | {"genres": self.genres}


def compare(
    logits: Tensor, others: Tensor, targets: Tensor, *, contract: Contract, other: str, num_resamples: int
) -> Comparison:
    """Return how ``logits (N,G)`` differ from ``others (N,G)`` on ``targets (N,G)``; see ``metrics.paired_bootstrap``.

    Args:
        logits: Of the first, calibrated.
        others: Of what it is compared with.
        targets: Of the posters of both.
        contract: Names the genres, and those that count in ``map``.
        other: The name of what it is compared with.
        num_resamples: Bootstrap resamples behind each interval.
    """
    paired = paired_bootstrap(logits, others, targets, headline=contract.headline_mask(), num_resamples=num_resamples)
    ours, theirs = average_precision(logits, targets).tolist(), average_precision(others, targets).tolist()
    holds = stand_together([difference.p_value for difference in paired.genres])
    support = targets.sum(dim=0).int().tolist()
    rows = [
        {
            "genre": genre,
            "support": support[i],
            "ap": ours[i],
            "other_ap": theirs[i],
            "difference": difference.score,
            "low": difference.interval[0],
            "high": difference.interval[1],
            "p": difference.p_value,
            "holds": holds[i],
        }
        for i, (genre, difference) in enumerate(zip(contract.genres, paired.genres, strict=True))
        if support[i]
    ]
    return Comparison(other=other, scores=paired.scores, genres=rows)
