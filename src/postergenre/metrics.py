"""How good are the probabilities? Every score of the protocol, beside what knowing no poster would give.

A genre without a positive in a split has no average precision, recall or AUROC: it is left out of macro averages here,
where torchmetrics would count it as 0, and ``num_genres`` tells how many counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
)

TOP = 3
NUM_BINS = 15
"""Equal-width bins of the expected calibration error (Guo et al., 2017)."""


class GenreScores(Metric):
    """The scores of a whole split, computed once from all its logits, in however many processes they were made."""

    full_state_update = False
    logits: list[Tensor]
    targets: list[Tensor]
    rows: list[Tensor]
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
        self.add_state("rows", default=[], dist_reduce_fx="cat")
        self.register_buffer("priors", priors, persistent=False)
        self.register_buffer("headline", headline, persistent=False)

    def update(self, logits: Tensor, targets: Tensor, rows: Tensor) -> None:
        """Add a batch: ``logits (B,G)``, ``targets (B,G)`` and the place of each poster in the split, ``rows (B,)``."""
        self.logits.append(logits.detach().float())
        self.targets.append(targets.detach().float())
        self.rows.append(rows)

    def gathered(self) -> tuple[Tensor, Tensor]:
        """Return ``logits (N,G)`` and ``targets (N,G)`` of the posters so far, each once, in the order of their rows.

        Every process has to call it, and gets the posters of all: so their scores are those of one process, whoever
        answered which poster, and whatever was answered twice to keep the processes in step.
        """
        with self.sync_context(should_sync=not self._is_synced, should_unsync=not self._is_synced):
            # After a reduction over ranks the state is one tensor instead of a list.
            logits, targets, rows = (
                state if isinstance(state, Tensor) else torch.cat(state)
                for state in (self.logits, self.targets, self.rows)
            )
        order = rows.argsort(stable=True)
        rows = rows[order]
        order = order[torch.cat([rows.new_ones(1, dtype=torch.bool), rows[1:] != rows[:-1]])]
        return logits[order], targets[order]

    def compute(self) -> dict[str, Tensor]:
        """Return every score by name; see ``score``."""
        logits, targets = self.gathered()
        return score(logits, targets, priors=self.priors, headline=self.headline)


def score(
    logits: Tensor,
    targets: Tensor,
    *,
    priors: Tensor,
    headline: Tensor,
    thresholds: Tensor | None = None,
    raw: Tensor | None = None,
    ranked: tuple[Tensor, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Return the protocol's scores, each a scalar tensor.

    Args:
        logits: ``(N,G)``.
        targets: ``(N,G)``, 1 where a genre applies.
        priors: ``(G,)`` share of each genre among the training posters.
        headline: ``(G,)`` bool, the genres that count in ``map``.
        thresholds: ``(G,)`` probabilities fitted elsewhere; adds the scores ``*_tuned``.
        raw: ``(N,G)`` logits before calibration; adds the scores ``*_before``.
        ranked: What ``rankings`` said of them, where somebody asked before.
    """
    probabilities = logits.sigmoid()
    truth = targets.int()
    present = truth.any(dim=0)  # (G,)
    ap, auroc = ranked or rankings(logits, targets)
    chance = targets.mean(dim=0)  # expected AP of a ranking that knows nothing
    scores = {
        "map": ap[headline & present].mean(),
        "map_prior": chance[headline & present].mean(),
        "map_all": ap[present].mean(),
        "map_all_prior": chance[present].mean(),
        "auroc": auroc.nanmean(),
        **probability_scores(logits, targets, headline=headline),
        "bce_prior": functional.binary_cross_entropy(priors.clamp(1e-7, 1 - 1e-7).expand_as(targets), targets),
        "accuracy": ((probabilities >= 0.5) == (truth > 0)).float().mean(),
        "accuracy_prior": 1 - ((priors > 0.5) != (truth > 0)).float().mean(),
        **_top(logits, targets),
        **_decisions(probabilities, truth, present, 0.5, ""),
        "num_genres": (headline & present).sum().float(),
        "num_genres_all": present.sum().float(),
        "num_posters": torch.tensor(float(len(targets))),
    }
    if thresholds is not None:
        scores |= _decisions(probabilities, truth, present, thresholds, "_tuned")
    if raw is not None:
        before = probability_scores(raw, targets, headline=headline)
        scores |= {f"{name}_before": value for name, value in before.items()}
    return scores


def probability_scores(logits: Tensor, targets: Tensor, *, headline: Tensor) -> dict[str, Tensor]:
    """Return the scores that calibration changes: ``bce``, and ``ece`` of all answers and of the headline genres."""
    probabilities, truth = logits.sigmoid(), targets.int()
    counted = headline & truth.any(dim=0)
    return {
        "bce": functional.binary_cross_entropy_with_logits(logits, targets),
        "ece": binary_calibration_error(probabilities.flatten(), truth.flatten(), n_bins=NUM_BINS, norm="l1"),
        "ece_genres": calibration_errors(probabilities, truth)[counted].mean(),
    }


def rankings(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return how well each genre ranks the posters: ``(G,)`` average precisions and ``(G,)`` AUROCs.

    Args:
        logits: ``(N,G)``.
        targets: ``(N,G)``. A genre that no poster has is NaN, and so is the AUROC of one that every poster has.
    """
    truth = targets.int()
    auroc = torch.full((targets.shape[1],), torch.nan, device=targets.device)
    for genre in (truth.any(dim=0) & ~truth.all(dim=0)).nonzero().flatten():
        auroc[genre] = _auroc(logits[:, genre], truth[:, genre])
    return average_precision(logits, targets), auroc


def average_precision(scores: Tensor, targets: Tensor) -> Tensor:
    """Return ``(G,)`` average precisions of ``scores (N,G)``; NaN for a genre without a positive."""
    result = torch.full((targets.shape[1],), torch.nan, device=targets.device)
    for genre in targets.any(dim=0).nonzero().flatten():
        result[genre] = binary_average_precision(_ranks(scores[:, genre]), targets[:, genre].int())
    return result


def random_average_precision(positives: Tensor, num_posters: int) -> Tensor:
    """Return the ``(G,)`` average precisions that a random order has in the mean; NaN for a genre without a positive.

    Close to the share of the positives where there are many posters, and well above it where there are few: 0.18 for
    one of twenty. The sum over ranks k of the chance that a positive stands there, times the precision to expect then.

    Args:
        positives: ``(G,)`` posters that have each genre.
        num_posters: Of how many.
    """
    n, m = num_posters, positives.double()
    harmonic = (1 / torch.arange(1, n + 1, dtype=torch.float64)).sum()
    expected = (harmonic + (m - 1) / max(n - 1, 1) * (n - harmonic)) / n
    return torch.where(m > 0, expected, torch.nan)


def calibration_errors(probabilities: Tensor, truth: Tensor) -> Tensor:
    """Return the ``(G,)`` expected calibration errors of ``probabilities (N,G)``, one genre at a time."""
    return torch.stack(
        [
            binary_calibration_error(p.contiguous(), t.contiguous(), n_bins=NUM_BINS, norm="l1")
            for p, t in zip(probabilities.T, truth.int().T, strict=True)
        ]
    )


def constant_scores(targets: Tensor, *, priors: Tensor, headline: Tensor) -> dict[str, float]:
    """Return what the best answer that looks at no poster scores, under the names of ``score``.

    Probabilities are the shares of the genres among the training posters. Decisions at 0.5 follow from them; the
    baseline of tuned decisions gives every poster the k most frequent genres, with the k (0, too) best for the score.

    Args:
        targets: ``(N,G)``.
        priors: ``(G,)`` share of each genre among the training posters.
        headline: ``(G,)`` bool, the genres that count in ``map``.
    """
    truth = targets.int()
    present = truth.any(dim=0)
    logits = torch.logit(priors, eps=1e-7).expand_as(targets)
    # Equal scores say nothing about order: average precision is then the share of the positives, AUROC one half.
    found = {name: float(value) for name, value in score(logits, targets, priors=priors, headline=headline).items()}
    frequent = priors.argsort(descending=True)
    tuned: dict[str, float] = {}
    for k in range(len(priors) + 1):
        always = torch.zeros_like(priors)
        always[frequent[:k]] = 1
        for name, value in _decisions(always.expand_as(targets), truth, present, 0.5, "_tuned").items():
            best = min if name.startswith("hamming") else max
            tuned[name] = best(float(value), tuned.get(name, float(value)))
    return {name: value for name, value in (found | tuned).items() if not name.endswith("_prior")}


def _auroc(scores: Tensor, truth: Tensor) -> Tensor:
    return binary_auroc(_ranks(scores), truth)


def _ranks(scores: Tensor) -> Tensor:
    """Return scores ``(N,)`` in 0 … 1 in the same order: torchmetrics would squash logits, and merge the very sure."""
    _, ranks = torch.unique(scores, return_inverse=True)
    return torch.div(ranks.double(), max(len(scores), 1))


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
    overlap = decided & truth
    f1 = _f1(overlap.sum(dim=0), decided.sum(dim=0), truth.sum(dim=0))[present]  # (present genres,)
    support = truth.sum(dim=0)[present]
    right = decided == truth
    return {
        f"f1_micro{suffix}": _f1(overlap.sum(), decided.sum(), truth.sum()),
        f"f1_macro{suffix}": f1.mean(),
        f"f1_weighted{suffix}": (f1 * support).sum() / support.sum(),
        f"f1_samples{suffix}": _f1(overlap.sum(dim=1), decided.sum(dim=1), truth.sum(dim=1)).mean(),
        f"exact_match{suffix}": right.all(dim=1).float().mean(),
        f"hamming{suffix}": 1 - right.float().mean(),
    }


def _f1(overlap: Tensor, decided: Tensor, true: Tensor) -> Tensor:
    """Return F1 from counts; 0 where nothing is decided and nothing is true."""
    return 2 * overlap / (decided + true).clamp(min=1)


def bootstrap_intervals(
    logits: Tensor, targets: Tensor, *, headline: Tensor, num_resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Return the bootstrap interval of ``map``, ``map_all`` and ``bce`` over resampled posters.

    The percentiles of the resamples, moved so that their mean lies on the score: a poster drawn twice ties with itself,
    which lifts the average precision of every resample (by about 0.006 on the original posters' test split).

    Args:
        logits: ``(N,G)``.
        targets: ``(N,G)``.
        headline: ``(G,)`` bool, the genres of ``map``.
        num_resamples: How many times N posters are drawn with replacement.
        seed: Of the draws.
        level: Share of the resamples that the interval holds.
    """
    values, _ = _resampled(logits, targets, headline=headline, num_resamples=num_resamples, seed=seed)
    return {name: _interval(_centred(resampled)[1], level) for name, resampled in values.items()}


def loss_interval(
    logits: Tensor, targets: Tensor, *, num_resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of ``bce`` alone, as ``bootstrap_intervals`` does, in a tenth of the time."""
    draws = _draws(len(targets), num_resamples, seed=seed)
    return _interval(_centred(_resampled_loss(logits, targets, draws))[1], level)


def _resampled(
    logits: Tensor, targets: Tensor, *, headline: Tensor, num_resamples: int, seed: int
) -> tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[np.float64]]:
    """Return ``(1+R,)`` values of each headline score, and ``(1+R,G)`` average precisions.

    The first are of the posters as they are, the others of R resamples.
    """
    draws = _draws(len(targets), num_resamples, seed=seed)
    ap = weighted_average_precision(logits.numpy(), targets.numpy(), draws)  # (1+R, G)
    values = {
        "map": _row_means(ap[:, headline.numpy()]),
        "map_all": _row_means(ap),
        "bce": _resampled_loss(logits, targets, draws),
    }
    return values, ap


def _draws(num_posters: int, num_resamples: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Return ``(1+R,N)``: the posters as they are, then R resamples of them."""
    every = np.ones((1, num_posters), dtype=np.int64)
    return np.concatenate([every, resamples(num_posters, num_resamples, seed=seed)])


def _resampled_loss(logits: Tensor, targets: Tensor, draws: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=1).numpy()
    means: npt.NDArray[np.float64] = draws @ losses / len(losses)
    return means


def _centred(values: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the first of ``values (1+R,)``, and the others moved so that their mean lies on it."""
    score, resampled = float(values[0]), values[1:]
    known = resampled[np.isfinite(resampled)]
    return score, resampled - (known.mean() if len(known) else 0.0) + score


def _interval(values: npt.NDArray[np.float64], level: float) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    return float(np.quantile(known, tail)), float(np.quantile(known, 1 - tail))


@dataclass(kw_only=True, slots=True)
class Difference:
    """How much better one set of answers is than another on the same posters."""

    score: float
    """The difference, first minus second."""
    interval: tuple[float, float]
    """Of the difference, over resampled posters."""
    p_value: float
    """Two-sided: how often posters drawn anew would turn the sign, were there no difference."""


@dataclass(kw_only=True, slots=True)
class Paired:
    """How two sets of answers to the same posters differ."""

    scores: dict[str, Difference]
    """Of ``map``, ``map_all`` and ``bce``."""
    genres: list[Difference]
    """Of the average precision of each of the G genres; NaN for one that no poster has."""


def paired_bootstrap(
    logits: Tensor,
    others: Tensor,
    targets: Tensor,
    *,
    headline: Tensor,
    num_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Paired:
    """Return the differences of ``map``, ``map_all``, ``bce`` and each genre's AP between two sets of answers.

    Both are scored on the same resamples, so that what makes a draw of posters easy or hard drops out (Efron and
    Tibshirani, "An introduction to the bootstrap", 1993, chapters 13 and 16). The percentiles are moved as those of
    ``bootstrap_intervals`` are.

    Args:
        logits: ``(N,G)``.
        others: ``(N,G)``, what they are compared with.
        targets: ``(N,G)``.
        headline: ``(G,)`` bool, the genres of ``map``.
        num_resamples: How many times N posters are drawn with replacement.
        seed: Of the draws.
        level: Share of the resamples that the interval holds.
    """
    (ours, our_ap), (theirs, their_ap) = (
        _resampled(answers, targets, headline=headline, num_resamples=num_resamples, seed=seed)
        for answers in (logits, others)
    )
    return Paired(
        scores={name: _difference(ours[name] - theirs[name], level) for name in ours},
        genres=[_difference(values, level) for values in (our_ap - their_ap).T],
    )


def _difference(values: npt.NDArray[np.float64], level: float) -> Difference:
    """Return what ``values (1+R,)`` say: the difference on the posters as they are, then on resamples."""
    score, moved = _centred(values)
    known = moved[np.isfinite(moved)]  # a resample may have lost all posters of a genre
    noise = np.abs(known - score)  # how far the difference strays when posters are drawn anew
    return Difference(
        score=score,
        interval=_interval(moved, level),
        p_value=float((1 + np.sum(noise >= abs(score))) / (1 + len(noise))) if np.isfinite(score) else score,
    )


def stand_together(p_values: Sequence[float], *, level: float = 0.05) -> list[bool]:
    """Return which of several differences hold when all of them are looked at (Holm, 1979).

    Of 22 genres, one would differ "at 5 %" by chance alone.

    Args:
        p_values: One for each difference; NaN where there is none.
        level: Chance that any of those returned as true is none.
    """
    known = [place for place, p in enumerate(p_values) if np.isfinite(p)]
    holds = [False] * len(p_values)
    for rank, place in enumerate(sorted(known, key=lambda place: p_values[place])):
        if p_values[place] > level / (len(known) - rank):
            break
        holds[place] = True
    return holds


def _row_means(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return ``(R,)`` means of the numbers in each row; NaN for a row without one."""
    counts = np.isfinite(values).sum(axis=1)
    means: npt.NDArray[np.float64] = np.where(counts, np.nansum(values, axis=1) / np.maximum(counts, 1), np.nan)
    return means


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
    logits: Tensor, targets: Tensor, *, raw: Tensor, genres: Sequence[str], thresholds: Tensor
) -> list[dict[str, str | float]]:
    """Return a row per genre: support, chance, AP, AUROC, decisions at the threshold, calibration before and after.

    Args:
        logits: ``(N,G)``, calibrated.
        targets: ``(N,G)``.
        raw: ``(N,G)`` logits as the network gives them.
        genres: Names of the G genres.
        thresholds: ``(G,)``.
    """
    probabilities = logits.sigmoid()
    ap, auroc = rankings(logits, targets)
    before, after = (calibration_errors(p, targets) for p in (raw.sigmoid(), probabilities))
    rows: list[dict[str, str | float]] = []
    for i, genre in enumerate(genres):
        truth, decided = targets[:, i] > 0, probabilities[:, i] >= thresholds[i]
        hits, support = int((truth & decided).sum()), int(truth.sum())
        rows.append(
            {
                "genre": genre,
                "support": support,
                "chance": support / len(truth),
                "ap": float(ap[i]),
                "auroc": float(auroc[i]),
                "threshold": float(thresholds[i]),
                "precision": hits / max(int(decided.sum()), 1) if support else float("nan"),
                "recall": hits / support if support else float("nan"),
                "f1": 2 * hits / max(int(decided.sum()) + support, 1) if support else float("nan"),
                "ece_before": float(before[i]),
                "ece": float(after[i]),
            }
        )
    return rows
