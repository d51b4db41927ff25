"""What the answers show beyond their scores: curves, bins and pairs of genres, before anything is drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from postergenre.evaluation.scored import Scored
from postergenre.metrics import NUM_BINS

Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """The tensors of a scoring as arrays, their genres in the order of a page."""

    genres: list[str]
    paths: list[Path]
    picture: Callable[[int], Path | bytes]
    """Gets the picture file of a row: where it lies, or its content."""
    logits: Floats
    """``(N,G)``, calibrated."""
    probabilities: Floats
    """``(N,G)``, calibrated."""
    before: Floats
    """``(N,G)`` probabilities as the network gives them."""
    truth: Marks
    """``(N,G)``."""
    thresholds: Floats
    """``(G,)``."""
    headline: Marks
    """``(G,)``, the genres that count in ``map``."""

    @classmethod
    def of(cls, scored: Scored, genres: Sequence[str]) -> "Findings":
        """Return what was found about ``genres``, in their order."""
        contract = scored.contract
        order = [contract.genres.index(genre) for genre in genres]
        logits, raw = scored.logits[:, order], scored.raw[:, order]
        return cls(
            genres=list(genres),
            paths=scored.paths,
            picture=scored.picture or scored.paths.__getitem__,
            logits=logits.double().numpy(),
            # Compared as they are when scores are made: a probability may lie on its threshold.
            probabilities=logits.sigmoid().double().numpy(),
            before=raw.sigmoid().double().numpy(),
            truth=(scored.targets[:, order] > 0).numpy(),
            thresholds=torch.tensor(contract.thresholds)[order].double().numpy(),
            headline=np.array([genre in contract.headline for genre in genres]),
        )

    @property
    def decided(self) -> Marks:
        """``(N,G)``, whether a genre is given to a poster."""
        marks: Marks = self.probabilities >= self.thresholds
        return marks

    @property
    def calibrated(self) -> bool:
        """Whether calibration changed the answers."""
        return not np.array_equal(self.before, self.probabilities)

    @property
    def present(self) -> Marks:
        """``(G,)``, whether a poster has the genre."""
        marks: Marks = np.asarray(self.truth.any(axis=0))
        return marks


@dataclass(frozen=True, kw_only=True, slots=True)
class Bins:
    """How often what was given a probability was true, in K bins of equal width; NaN in an empty bin."""

    predicted: Floats
    """``(K,)`` mean probability of a bin."""
    observed: Floats
    """``(K,)`` share that was true."""
    counts: Floats
    """``(K,)`` how many answers fell into it."""

    @property
    def error(self) -> float:
        """The expected calibration error; NaN without an answer."""
        total = self.counts.sum()
        return float(np.nansum(self.counts * np.abs(self.predicted - self.observed)) / total) if total else float("nan")


def reliability(probabilities: Floats, truth: Marks, *, num_bins: int = NUM_BINS) -> Bins:
    """Return the reliability diagram of any number of answers (Guo et al., 2017).

    Args:
        probabilities: Of any shape.
        truth: Of the same shape.
        num_bins: Equal parts of 0 … 1; a probability on a border falls into the upper one.
    """
    edges = np.linspace(0, 1, num_bins + 1)
    place = np.clip(np.searchsorted(edges, probabilities.ravel(), side="right") - 1, 0, num_bins - 1)
    counts = np.bincount(place, minlength=num_bins).astype(float)
    some = np.where(counts > 0, counts, np.nan)
    return Bins(
        predicted=np.bincount(place, probabilities.ravel(), minlength=num_bins) / some,
        observed=np.bincount(place, truth.ravel().astype(float), minlength=num_bins) / some,
        counts=counts,
    )


def precision_recall(scores: Floats, truth: Marks) -> tuple[Floats, Floats]:
    """Return recall and precision ``(K,)`` at every cut that finds another positive, from the strictest cut on.

    The average precision is the sum of the precisions, each times the recall that its cut gained.

    Args:
        scores: ``(N,)``, in the order of confidence.
        truth: ``(N,)``.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # a cut cannot part equal scores
    hits = np.cumsum(truth[order])[last].astype(float)
    finds = np.diff(hits, prepend=0) > 0
    return hits[finds] / max(hits[-1], 1), (hits / (last + 1))[finds]


def co_occurrence(marks: Marks) -> Floats:
    """Return ``(G,G)``: of the posters with the genre of a row, the share that has the genre of the column.

    Args:
        marks: ``(N,G)``, true where a genre applies. The row of a genre without a poster is NaN.
    """
    counts = marks.astype(float).T @ marks.astype(float)
    own = np.diag(counts)[:, None]
    shares: Floats = counts / np.where(own > 0, own, np.nan)
    return shares


def entropies(probabilities: Floats) -> Floats:
    """Return ``(N,)``: the bits that the answers about all genres leave open, were the genres independent.

    Args:
        probabilities: ``(N,G)``.
    """
    p = np.clip(probabilities, 1e-12, 1 - 1e-12)
    bits: Floats = -(p * np.log2(p) + (1 - p) * np.log2(1 - p)).sum(axis=1)
    return bits
