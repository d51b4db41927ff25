"""How good are the probabilities? Every score of the protocol, beside what knowing no poster would give.

A genre without a positive in a split has no average precision, recall or AUROC: it is left out of macro averages here,
where torchmetrics would count it as 0, and ``num_genres`` tells how many counted.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    binary_calibration_error,
    multilabel_exact_match,
    multilabel_f1_score,
    multilabel_hamming_distance,
)

TOP = 3
NUM_BINS = 15
"""Equal-width bins of the expected calibration error (Guo et al., 2017)."""


class GenreScores(Metric):
    """The scores of a whole split, computed once from all its logits."""

    full_state_update = False
    logits: list[Tensor]
    targets: list[Tensor]
    priors: Tensor
    headline: Tensor

    def __init__(self, *, priors: Tensor, headline: Tensor) -> None:
        """Prepare to score.

        Args:
            priors: ``(G,)`` share of each genre among the training posters: the answer without a poster.
            headline: ``(G,)`` bool, the genres that count in ``map``.
        """
        super().__init__()
        self.add_state("logits", default=[], dist_reduce_fx="cat")
        self.add_state("targets", default=[], dist_reduce_fx="cat")
        self.register_buffer("priors", priors, persistent=False)
        self.register_buffer("headline", headline, persistent=False)

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Add a batch: ``logits (B,G)`` and ``targets (B,G)``."""
        self.logits.append(logits.detach().float())
        self.targets.append(targets.detach().float())

    def gathered(self) -> tuple[Tensor, Tensor]:
        """Return ``logits (N,G)`` and ``targets (N,G)`` of everything so far."""
        # After a reduction over ranks the state is one tensor instead of a list.
        logits, targets = (s if isinstance(s, Tensor) else torch.cat(s) for s in (self.logits, self.targets))
        return logits, targets

    def compute(self) -> dict[str, Tensor]:
        """Return every score by name; see ``score``."""
        logits, targets = self.gathered()
        return score(logits, targets, priors=self.priors, headline=self.headline)


def score(
    logits: Tensor, targets: Tensor, *, priors: Tensor, headline: Tensor, thresholds: Tensor | None = None
) -> dict[str, Tensor]:
    """Return the protocol's scores, each a scalar tensor.

    Args:
        logits: ``(N,G)``.
        targets: ``(N,G)``, 1 where a genre applies.
        priors: ``(G,)`` share of each genre among the training posters.
        headline: ``(G,)`` bool, the genres that count in ``map``.
        thresholds: ``(G,)`` probabilities fitted elsewhere; adds the scores ``*_tuned``.
    """
    probabilities = logits.sigmoid()
    truth = targets.int()
    present = truth.any(dim=0)  # (G,)
    ap = average_precision(probabilities, targets)
    # A genre that every poster has cannot be ranked either.
    ranked = present & ~truth.all(dim=0)
    auroc = [binary_auroc(probabilities[:, genre], truth[:, genre]) for genre in ranked.nonzero().flatten()]
    chance = targets.mean(dim=0)  # expected AP of a ranking that knows nothing
    scores = {
        "map": ap[headline & present].mean(),
        "map_prior": chance[headline & present].mean(),
        "map_all": ap[present].mean(),
        "map_all_prior": chance[present].mean(),
        "auroc": torch.stack(auroc).mean() if auroc else torch.tensor(torch.nan),
        "bce": functional.binary_cross_entropy_with_logits(logits, targets),
        "bce_prior": functional.binary_cross_entropy(priors.clamp(1e-7, 1 - 1e-7).expand_as(targets), targets),
        "ece": binary_calibration_error(probabilities.flatten(), truth.flatten(), n_bins=NUM_BINS, norm="l1"),
        "accuracy": 1 - multilabel_hamming_distance(probabilities, truth, truth.shape[1], average="micro"),
        "accuracy_prior": 1 - ((priors > 0.5) != (truth > 0)).float().mean(),
        **_top(probabilities, targets),
        **_decisions(probabilities, truth, present, 0.5, ""),
        "num_genres": (headline & present).sum().float(),
        "num_genres_all": present.sum().float(),
        "num_posters": torch.tensor(float(len(targets))),
    }
    if thresholds is not None:
        scores |= _decisions(probabilities, truth, present, thresholds, "_tuned")
    return scores


def average_precision(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return ``(G,)`` average precisions; NaN for a genre without a positive."""
    result = torch.full((targets.shape[1],), torch.nan, device=targets.device)
    for genre in targets.any(dim=0).nonzero().flatten():
        result[genre] = binary_average_precision(probabilities[:, genre], targets[:, genre].int())
    return result


def _top(probabilities: Tensor, targets: Tensor) -> dict[str, Tensor]:
    k = min(TOP, targets.shape[1])
    hits = targets.gather(1, probabilities.topk(k, dim=1).indices).sum(dim=1)  # (N,)
    return {
        f"precision_at_{TOP}": (hits / k).mean(),
        f"recall_at_{TOP}": (hits / targets.sum(dim=1)).nanmean(),  # a poster without a genre has no recall
    }


def _decisions(
    probabilities: Tensor, truth: Tensor, present: Tensor, threshold: float | Tensor, suffix: str
) -> dict[str, Tensor]:
    """Return the F1 family and exact match of the decisions ``probability >= threshold``."""
    decided = (probabilities >= threshold).int()
    num_genres = truth.shape[1]
    f1 = multilabel_f1_score(decided, truth, num_genres, average="none")[present]
    support = truth.sum(dim=0)[present]
    overlap, total = (decided & truth).sum(dim=1), decided.sum(dim=1) + truth.sum(dim=1)
    return {
        f"f1_micro{suffix}": multilabel_f1_score(decided, truth, num_genres, average="micro"),
        f"f1_macro{suffix}": f1.mean(),
        f"f1_weighted{suffix}": (f1 * support).sum() / support.sum(),
        f"f1_samples{suffix}": (2 * overlap / total.clamp(min=1)).mean(),
        f"exact_match{suffix}": multilabel_exact_match(decided, truth, num_genres),
        f"hamming{suffix}": multilabel_hamming_distance(decided, truth, num_genres, average="micro"),
    }


def bootstrap_intervals(
    logits: Tensor, targets: Tensor, *, headline: Tensor, num_resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Return the bootstrap percentile interval of ``map``, ``map_all`` and ``bce`` over resampled posters.

    Args:
        logits: ``(N,G)``.
        targets: ``(N,G)``.
        headline: ``(G,)`` bool, the genres of ``map``.
        num_resamples: How many times N posters are drawn with replacement.
        seed: Of the draws.
        level: Share of the resamples that the interval holds.
    """
    draws = resamples(len(targets), num_resamples, seed=seed)
    ap = weighted_average_precision(logits.numpy(), targets.numpy(), draws)  # (R,G)
    losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=1).numpy()
    chosen = ap[:, headline.numpy()]
    values = {
        "map": np.nanmean(chosen, axis=1),
        "map_all": np.nanmean(ap, axis=1),
        "bce": draws @ losses / len(losses),
    }
    tail = (1 - level) / 2
    return {name: (float(np.quantile(v, tail)), float(np.quantile(v, 1 - tail))) for name, v in values.items()}


def resamples(num_posters: int, num_resamples: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Return ``(R,N)``: how often each poster stands in each resample of N posters drawn with replacement."""
    random = np.random.default_rng(seed)
    return random.multinomial(num_posters, np.full(num_posters, 1 / num_posters), size=num_resamples)


def weighted_average_precision(
    scores: npt.NDArray[np.float32], targets: npt.NDArray[np.float32], weights: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return ``(R,G)`` average precisions under R weightings of the posters; NaN where a genre has no positive.

    Equals scikit-learn's ``average_precision_score(..., sample_weight=...)`` for each pair, sorting only once a genre.

    Args:
        scores: ``(N,G)``.
        targets: ``(N,G)``, 0 or 1.
        weights: ``(R,N)``.
    """
    result = np.full((len(weights), targets.shape[1]), np.nan)
    for genre in range(targets.shape[1]):
        order = np.argsort(-scores[:, genre], kind="stable")
        ranked = scores[order, genre]
        last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # equal scores fall under one threshold
        sorted_weights = weights[:, order]
        hits = np.cumsum(sorted_weights * targets[order, genre], axis=1)[:, last]
        seen = np.cumsum(sorted_weights, axis=1)[:, last]
        gained = np.diff(hits, axis=1, prepend=0)
        positives = hits[:, -1]
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.where(seen > 0, hits / seen, 0.0)
            result[:, genre] = np.where(positives > 0, (precision * gained).sum(axis=1) / positives, np.nan)
    return result


def genre_table(
    logits: Tensor, targets: Tensor, *, genres: Sequence[str], thresholds: Tensor
) -> list[dict[str, str | float]]:
    """Return a row per genre: support, chance, AP, AUROC, threshold, and precision, recall and F1 at the threshold."""
    probabilities = logits.sigmoid()
    ap = average_precision(probabilities, targets)
    rows: list[dict[str, str | float]] = []
    for i, genre in enumerate(genres):
        truth, decided = targets[:, i] > 0, probabilities[:, i] >= thresholds[i]
        hits, support = int((truth & decided).sum()), int(truth.sum())
        scores, mixed = probabilities[:, i], 0 < support < len(truth)
        rows.append(
            {
                "genre": genre,
                "support": support,
                "chance": support / len(truth),
                "ap": float(ap[i]),
                "auroc": float(binary_auroc(scores, truth.int())) if mixed else float("nan"),
                "threshold": float(thresholds[i]),
                "precision": hits / max(int(decided.sum()), 1) if support else float("nan"),
                "recall": hits / support if support else float("nan"),
                "f1": 2 * hits / max(int(decided.sum()) + support, 1) if support else float("nan"),
            }
        )
    return rows
