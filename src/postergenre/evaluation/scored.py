"""What one scoring of a checkpoint found: everything a report is made of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from postergenre.classifier.contract import Contract
from postergenre.evaluation.comparison import Comparison
from postergenre.evaluation.elsewhere import Elsewhere
from postergenre.evaluation.groups import Group


@dataclass(kw_only=True, slots=True)
class Scored:
    """The answers of a checkpoint on N posters of a split, and what they are worth."""

    checkpoint: str
    """The file that answered."""
    split: str
    """``test``, ``val``, ``train``, or ``all`` of another poster set."""
    hardware: str
    """What it ran on, and in which precision."""
    command: str
    """The command that made this, to be typed again."""
    contract: Contract
    """What the checkpoint says about itself."""
    paths: list[Path]
    """The N pictures, in the order of the rows below; of posters in shards, their names."""
    raw: Tensor
    """``(N,G)`` logits as the network gives them."""
    logits: Tensor
    """``(N,G)`` calibrated logits; their sigmoid is the probability that users see."""
    targets: Tensor
    """``(N,G)``, 1 where a genre applies."""
    scores: dict[str, float]
    """Every score of the protocol by name."""
    baselines: dict[str, float]
    """Under the same names, what the best answer that looks at no poster scores."""
    intervals: dict[str, tuple[float, float]]
    """95 % bootstrap intervals of the headline scores."""
    genres: list[dict[str, str | float]]
    """A row per genre: genre, support, chance, ap, auroc, threshold, precision, recall, f1, ece_before, ece."""
    picture: Callable[[int], Path | bytes] | None = None
    """Gets the picture file of a row, its path or its content; None where ``paths`` says all."""
    history: list[dict[str, float]] = field(default_factory=list)
    """A row per epoch of training, as in ``metrics.csv`` beside the checkpoint; empty where that is gone."""
    notes: list[str] = field(default_factory=list)
    """What a reader of the scores should know, a sentence each."""
    groups: dict[str, list[Group]] = field(default_factory=dict)
    """By column of the CSV, the scores of the posters of each value."""
    elsewhere: Elsewhere | None = None
    """Of another poster set than that of training: what was left out, and the scores beside those at home."""
    against: Comparison | None = None
    """The differences from another checkpoint, where one was asked for."""
