"""What training minimises: from logits and targets, both ``(B,G)``, to one number.

In the formulas, x is a logit, p = σ(x), y a target in 0 … 1, and n_g of the N training posters have genre g. Targets
may be soft (mixed posters, smoothed negatives): y·L⁺ + (1 − y)·L⁻ is then the loss to expect, and the paper's for 0
and 1. Losses are means over the B·G elements where papers may sum, so theirs are G or B·G times as large. Only plain
``bce`` is least at the true probabilities: after any other loss, outputs rank posters, and need calibration.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid, softplus

from postergenre.errors import ConfigError

NEVER = -1e30
"""Logarithm of nothing at all: finite, so that no gradient becomes 0·∞."""


@dataclass(kw_only=True, slots=True)
class LossConfig:
    """Which loss, and its numbers."""

    name: str = "bce"
    """bce | weighted | focal | asymmetric | two_way | distribution_balanced | hill."""
    settings: dict[str, float] = field(default_factory=dict)
    """Numbers of that loss, by name; what is not given has the paper's default."""
    smooth_negatives: float = 0.0
    """Target of a genre that a poster does not have: 0 takes the labels at their word, 0.05 leaves room for genres that
    nobody entered. Below 0.5."""

    def __post_init__(self) -> None:
        if self.name not in LOSSES:
            raise ConfigError(f"no loss.name {self.name!r}; known: {', '.join(LOSSES)}")
        known = default_settings(self.name)
        if unknown := [name for name in self.settings if name not in known]:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise ConfigError(f"loss {self.name!r} has no setting {', '.join(map(repr, unknown))}; {has}")
        if not 0.0 <= self.smooth_negatives < 0.5:
            raise ConfigError(f"loss.smooth_negatives must be at least 0 and below 0.5, not {self.smooth_negatives}")


def build_loss(config: LossConfig, *, counts: Tensor, num_posters: int) -> nn.Module:
    """Return the loss as a module: logits ``(B,G)`` and targets ``(B,G)`` in 0 … 1 → a scalar.

    Args:
        config: Which loss.
        counts: ``(G,)`` training posters that have each genre; none is fine.
        num_posters: Training posters.

    Raises:
        ConfigError: A setting is out of its range.
    """
    assert ((counts >= 0) & (counts <= num_posters)).all()
    make = LOSSES[config.name]
    data = {"counts": counts.float(), "num_posters": num_posters}
    loss = make(**{name: data[name] for name in inspect.signature(make).parameters if name in data}, **config.settings)
    return SmoothedNegatives(loss, floor=config.smooth_negatives) if config.smooth_negatives else loss


def default_settings(name: str) -> dict[str, float]:
    """Return the settings of a loss with their defaults."""
    parameters = inspect.signature(LOSSES[name]).parameters.values()
    return {setting.name: setting.default for setting in parameters if setting.default is not setting.empty}


class BinaryCrossEntropy(nn.Module):
    """L⁺ = −log p, L⁻ = −log(1 − p): each genre is a yes-or-no question of its own."""

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(logits, targets)


class Weighted(nn.Module):
    """L⁺ = −w_g·log p, L⁻ = −log(1 − p), w_g = ((N − n_g)/n_g)^power: a genre's posters weigh what all others do.

    As torch's documentation of ``BCEWithLogitsLoss`` proposes for ``pos_weight`` (power 1); 0.5 goes half of the way.
    A genre without posters counts as if it had one.
    """

    weight: Tensor

    def __init__(self, *, counts: Tensor, num_posters: int, power: float = 1.0) -> None:
        super().__init__()
        _require(0 <= power <= 2, "power", power, "in 0 … 2")
        # Not persistent, here and below: a checkpoint without its loss is the same network.
        present = counts.clamp(min=1)
        self.register_buffer("weight", ((num_posters - present) / present) ** power, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(logits, targets, pos_weight=self.weight)


class Focal(nn.Module):
    """L⁺ = −α·(1 − p)^γ·log p, L⁻ = −(1 − α)·p^γ·log(1 − p): what is settled counts little.

    Lin, Goyal, Girshick, He, Dollár, "Focal loss for dense object detection", 2017, equation 5: γ = 2, α = 0.25.
    """

    def __init__(self, *, gamma: float = 2.0, alpha: float = 0.25) -> None:
        super().__init__()
        _require(gamma >= 0, "gamma", gamma, "0 or more")
        _require(0 <= alpha <= 1, "alpha", alpha, "in 0 … 1")
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        positive, negative = _focused(logits, self.gamma), _focused(-logits, self.gamma)
        return _expected(targets, self.alpha * positive, (1 - self.alpha) * negative)


class Asymmetric(nn.Module):
    """L⁺ = −(1 − p)^γ⁺·log p, L⁻ = −p_m^γ⁻·log(1 − p_m), p_m = max(p − m, 0): easy negatives count least, or nothing.

    Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter, Zelnik-Manor, "Asymmetric loss for multi-label classification",
    ICCV 2021, sections "asymmetric focusing" and "asymmetric probability shifting": γ⁺ = 0, γ⁻ = 4, m = 0.05. The
    gradient is the formula's; the authors' training script takes the powers for constants. They sum over all elements.
    """

    log_margin: Tensor

    def __init__(self, *, gamma_pos: float = 0.0, gamma_neg: float = 4.0, margin: float = 0.05) -> None:
        super().__init__()
        _require(gamma_pos >= 0, "gamma_pos", gamma_pos, "0 or more")
        _require(gamma_neg >= 0, "gamma_neg", gamma_neg, "0 or more")
        _require(0 <= margin < 1, "margin", margin, "at least 0 and below 1")
        self.gamma_pos, self.gamma_neg, self.margin = gamma_pos, gamma_neg, margin
        self.register_buffer("log_margin", torch.tensor(margin).log(), persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        # Kept off 0, where the slope of a power below 1 is infinite.
        shifted = (logits.sigmoid() - self.margin).clamp(min=torch.finfo(logits.dtype).tiny)
        rest = torch.logaddexp(logsigmoid(-logits), self.log_margin).clamp(max=0)  # log(1 − p_m)
        return _expected(targets, _focused(logits, self.gamma_pos), -(shifted**self.gamma_neg) * rest)


class TwoWay(nn.Module):
    """softplus(T⁺·log Σ exp(−x/T⁺) + T⁻·log Σ exp(x/T⁻)), first sum over positives, second over negatives.

    The mean over the genres that a poster of the batch has, each summing over the batch, plus the mean over the posters
    that have a genre, each summing over genres: positives are to rank above negatives both ways. Kobayashi, "Two-way
    multi-label loss", CVPR 2023: T⁺ = 4, T⁻ = 1. A soft target counts as y positives and 1 − y negatives in the sums.
    The loss of a genre or poster without negatives is 0; a batch without positives costs nothing.
    """

    def __init__(self, *, temperature_pos: float = 4.0, temperature_neg: float = 1.0) -> None:
        super().__init__()
        _require(0.01 <= temperature_pos <= 100, "temperature_pos", temperature_pos, "in 0.01 … 100")
        _require(0.01 <= temperature_neg <= 100, "temperature_neg", temperature_neg, "in 0.01 … 100")
        self.temperature_pos, self.temperature_neg = temperature_pos, temperature_neg

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        positives = -logits / self.temperature_pos + targets.log().clamp(min=NEVER)
        negatives = logits / self.temperature_neg + (-targets).log1p().clamp(min=NEVER)
        return self._ranking(positives, negatives, targets, dim=0) + self._ranking(positives, negatives, targets, dim=1)

    def _ranking(self, positives: Tensor, negatives: Tensor, targets: Tensor, *, dim: int) -> Tensor:
        gap = self.temperature_pos * positives.logsumexp(dim) + self.temperature_neg * negatives.logsumexp(dim)
        # Without positives (or negatives) the gap is about NEVER, and its softplus 0.
        return softplus(gap).sum() / (targets > 0).any(dim).sum().clamp(min=1)


class DistributionBalanced(nn.Module):
    """L⁺ = r̂·softplus(−(x − ν_g)), L⁻ = r̂·softplus(λ·(x − ν_g))/λ: re-balanced, and tolerant of negatives.

    r̂ = α + σ(β·(r − μ)) with r = (1/n_g) / Σ_i y_i/n_i, a sum over the poster's genres: undoes that a poster with
    frequent genres, too, is drawn often where rare genres are. ν_g = κ·log(1/p_g − 1), p_g = n_g/N. Wu, Huang, Liu,
    Wang, Lin, "Distribution-balanced loss for multi-label classification in long-tailed datasets", ECCV 2020, sections
    "re-balanced weighting" and "negative-tolerant regularization": α = 0.1, β = 10, μ = 0.2, λ = 2 (``scale``),
    κ = 0.05, as for COCO. Their code divides ν_g by λ as well; their best results add a focal factor, 2·(1 − p_t)², and
    draw training posters by genre, neither of which is done here.

    A poster without genres has r = ∞, so r̂ = α + 1: the limit of ever fainter targets, and what division by 0 gives in
    their code. Smoothed negatives enter the sum like any soft target. A genre without posters counts as if it had one.
    """

    inverse: Tensor
    bias: Tensor

    def __init__(
        self,
        *,
        counts: Tensor,
        num_posters: int,
        alpha: float = 0.1,
        beta: float = 10.0,
        mu: float = 0.2,
        scale: float = 2.0,
        kappa: float = 0.05,
    ) -> None:
        super().__init__()
        for name, value in (("alpha", alpha), ("beta", beta), ("mu", mu), ("kappa", kappa)):
            _require(value >= 0, name, value, "0 or more")
        _require(scale > 0, "scale", scale, "more than 0")
        self.alpha, self.beta, self.mu, self.scale = alpha, beta, mu, scale
        present = counts.clamp(min=1)
        self.register_buffer("inverse", 1 / present, persistent=False)
        self.register_buffer("bias", kappa * ((num_posters - present).clamp(min=1) / present).log(), persistent=False)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        drawn = (targets * self.inverse).sum(dim=1, keepdim=True)  # (B, 1)
        ratio = self.inverse / drawn.clamp(min=1e-12)  # (B, G)
        weight = self.alpha + (self.beta * (ratio - self.mu)).sigmoid()
        shifted = logits - self.bias
        return _expected(targets, weight * softplus(-shifted), weight * softplus(self.scale * shifted) / self.scale)


class Hill(nn.Module):
    """L⁺ = −(1 − p_m)^γ·log p_m, p_m = σ(x − m); L⁻ = (λ − p)·p²: a sure "yes" to a negative may be a missing label.

    Zhang, Cheng, Huang, Wen, Feng, Li, Guo, "Simple and robust loss design for multi-label learning with missing
    labels", 2021, sections on the Hill loss and the focal margin loss: λ = 1.5 (``lam``), m = 1, γ = 2. They sum over
    all elements. The gradient of L⁻ goes to 0 for p → 1 as for p → 0; with λ < 1.5, it pushes the surest negatives up.
    """

    def __init__(self, *, lam: float = 1.5, margin: float = 1.0, gamma: float = 2.0) -> None:
        super().__init__()
        _require(lam >= 1, "lam", lam, "1 or more")
        _require(margin >= 0, "margin", margin, "0 or more")
        _require(gamma >= 0, "gamma", gamma, "0 or more")
        self.lam, self.margin, self.gamma = lam, margin, gamma

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        probabilities = logits.sigmoid()
        negative = (self.lam - probabilities) * probabilities.square()
        return _expected(targets, _focused(logits - self.margin, self.gamma), negative)


class SmoothedNegatives(nn.Module):
    """A loss whose targets are nowhere below ``floor``: label smoothing (Szegedy et al., 2016) of negatives only."""

    def __init__(self, loss: nn.Module, *, floor: float) -> None:
        super().__init__()
        self.loss, self.floor = loss, floor

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        smoothed: Tensor = self.loss(logits, targets.clamp(min=self.floor))
        return smoothed


LOSSES: dict[str, Callable[..., nn.Module]] = {
    "bce": BinaryCrossEntropy,
    "weighted": Weighted,
    "focal": Focal,
    "asymmetric": Asymmetric,
    "two_way": TwoWay,
    "distribution_balanced": DistributionBalanced,
    "hill": Hill,
}


def _focused(logits: Tensor, gamma: float) -> Tensor:
    """Return −(1 − p)^γ·log p of each element, from logarithms: no power of 0, no logarithm of 0."""
    return -(gamma * logsigmoid(-logits)).exp() * logsigmoid(logits)


def _expected(targets: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Return the mean of y·L⁺ + (1 − y)·L⁻."""
    return (targets * positive + (1 - targets) * negative).mean()


def _require(fits: bool, name: str, value: float, wanted: str) -> None:
    if not (fits and math.isfinite(value)):
        raise ConfigError(f"loss.settings.{name} must be {wanted}, not {value:g}")
