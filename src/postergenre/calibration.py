"""From logits to probabilities, and from probabilities to decisions: fitted on validation, kept in the checkpoint."""

import torch
from torch import Tensor
from torch.nn import functional

PRIOR_DEVIATION = 0.25
"""How far a genre's own scale and level are expected from the common ones, in logits (a standard deviation)."""
LEAST_SCALE = 0.1
"""A calibration may squash the ranking of a genre, and never turns it round."""
NUM_PARTS = 5
NUM_STEPS = 25
TOLERANCE = 1e-9
"""A step shorter than this, in logits, is the last."""


def calibrate(logits: Tensor, temperatures: Tensor, offsets: Tensor) -> Tensor:
    """Return calibrated logits ``(N,G)``: ``logits / temperatures + offsets``, a genre at a time.

    Platt, "Probabilistic outputs for support vector machines", 1999; without the offset, Guo et al., "On calibration of
    modern neural networks", 2017.

    Args:
        logits: ``(N,G)`` as the network gives them.
        temperatures: ``(G,)``, above 0.
        offsets: ``(G,)``, in logits.
    """
    return logits / temperatures + offsets


def fit_calibration(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``(G,)`` temperatures and ``(G,)`` offsets that make the answers on these posters true to their odds.

    One scale and offset for all genres is fitted first; a genre's own are pulled towards it by a normal prior (a
    penalty that few positives cannot outweigh). A genre whose log-loss on held-out fifths of these posters does not
    fall by more than half its standard error keeps the network's own logits: temperature 1, offset 0.

    Args:
        logits: ``(N,G)`` on posters that no weight was fitted on.
        targets: ``(N,G)``, 1 where a genre applies.
    """
    logits, targets = logits.double(), targets.double()
    scales, offsets = _fit(logits, targets)
    part = torch.arange(len(logits)) % NUM_PARTS
    held_out = torch.empty_like(logits)
    for number in range(NUM_PARTS):
        inside, outside = part != number, part == number
        if bool(inside.any()) and bool(outside.any()):
            scale, offset = _fit(logits[inside], targets[inside])
            held_out[outside] = logits[outside] * scale + offset
        else:
            held_out[outside] = logits[outside]
    gains = _log_losses(logits, targets) - _log_losses(held_out, targets)  # (N,G)
    deviation = gains.std(dim=0, correction=min(len(gains) - 1, 1))  # of one poster: 0, as its gain is
    better = gains.mean(dim=0) > 0.5 * deviation / len(gains) ** 0.5  # (G,)
    scales, offsets = torch.where(better, scales, 1.0), torch.where(better, offsets, 0.0)
    return (1 / scales).float(), offsets.float()


def _fit(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return scale and offset ``(G,)`` of each genre, drawn towards those of all genres together."""
    positives, negatives = targets.sum(), (1 - targets).sum()
    # Platt's own targets, not quite 1 and 0: where all answers are right, no scale would be large enough.
    surely, hardly = (positives + 1) / (positives + 2), 1 / (negatives + 2)
    smoothed = targets * surely + (1 - targets) * hardly
    loose = torch.tensor(1e3, dtype=logits.dtype)
    common_scale, common_level = _newton(
        logits.reshape(-1, 1), smoothed.reshape(-1, 1), centre=(1.0, 0.0), deviation=loose
    )
    means = logits.mean(dim=0)  # the offset of a genre is felt where its logits are, not at 0
    level = common_scale * means + common_level
    scale, level = _newton(
        logits - means, targets, centre=(common_scale, level), deviation=torch.tensor(PRIOR_DEVIATION)
    )
    return scale, level - scale * means


def _newton(
    logits: Tensor, targets: Tensor, *, centre: tuple[Tensor | float, Tensor | float], deviation: Tensor
) -> tuple[Tensor, Tensor]:
    """Return scale and level ``(G,)`` that minimise the log-loss under a normal prior around ``centre``.

    The loss is convex, so damped Newton steps (of two unknowns a genre) find the one minimum.
    """
    scale_0, level_0 = (torch.as_tensor(c, dtype=logits.dtype).expand(logits.shape[1]) for c in centre)
    scale, level = scale_0.clone(), level_0.clone()
    precision = deviation.double() ** -2
    for _ in range(NUM_STEPS):
        p = (logits * scale + level).sigmoid()
        rest, weight = p - targets, p * (1 - p)
        slope_scale = (rest * logits).sum(0) + precision * (scale - scale_0)
        slope_level = rest.sum(0) + precision * (level - level_0)
        curve_scale = (weight * logits**2).sum(0) + precision
        curve_both = (weight * logits).sum(0)
        curve_level = weight.sum(0) + precision
        determinant = curve_scale * curve_level - curve_both**2
        step_scale = (curve_level * slope_scale - curve_both * slope_level) / determinant
        step_level = (curve_scale * slope_level - curve_both * slope_scale) / determinant
        damping = 1 / torch.stack([step_scale.abs(), step_level.abs()]).amax(0).clamp(min=1)  # at most 1 logit a step
        before = scale
        scale, level = (scale - damping * step_scale).clamp(min=LEAST_SCALE), level - damping * step_level
        if bool(((scale - before).abs() < TOLERANCE).all() and (step_level.abs() < TOLERANCE).all()):
            break
    return scale, level


def _log_losses(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")


def fit_thresholds(probabilities: Tensor, targets: Tensor, *, prior_strength: float = 50.0) -> Tensor:
    """Return ``(G,)`` thresholds that maximise each genre's F1 on these posters, shrunk where positives are few.

    With few positives, the best cut is mostly luck. The best cut of a genre with n positives is therefore averaged,
    with weights n and ``prior_strength``, with the cut of the highest F1 that the probabilities themselves expect: it
    needs no labels, and where probabilities are true to their odds, it is the best there is (Lipton, Elkan,
    Naryanaswamy, "Optimal thresholding of classifiers to maximize F1 measure", 2014).

    Args:
        probabilities: ``(N,G)``, calibrated, on posters that no weight was fitted on.
        targets: ``(N,G)``.
        prior_strength: Positives at which a genre's own cut and the expected one weigh the same.
    """
    genres = list(zip(probabilities.T, targets.T, strict=True))
    own = torch.stack([_best_cut(p, t) for p, t in genres])
    expected = torch.stack([_best_cut(p, p) for p, _ in genres])
    count = targets.sum(dim=0)
    weight = count / (count + prior_strength)
    return torch.where(count > 0, weight * own + (1 - weight) * expected, expected)


def _best_cut(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return the cut of highest F1 (with soft targets, expected F1).

    It lies half-way between the last probability above it and the first below.
    """
    order = probabilities.argsort(descending=True)
    ranked, hits = probabilities[order].double(), targets[order].cumsum(0).double()
    counts = torch.arange(1, len(ranked) + 1, device=ranked.device)
    f1 = 2 * hits / (counts + targets.sum())
    following = torch.cat([ranked[1:], ranked.new_zeros(1)])
    f1 = torch.where(ranked > following, f1, -1.0)  # a cut cannot part equal probabilities
    best = int(f1.argmax())
    cut = ((ranked[best] + following[best]) / 2).to(probabilities.dtype)
    return torch.where(cut > following[best], cut, probabilities[order[best]])  # the half-way point may round down
