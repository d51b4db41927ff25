"""From probabilities to decisions: fitted on validation posters, kept in the checkpoint."""

import torch
from torch import Tensor


def fit_thresholds(probabilities: Tensor, targets: Tensor, *, prior_strength: float = 50.0) -> Tensor:
    """Return ``(G,)`` thresholds that maximise each genre's F1 on these posters, shrunk where positives are few.

    The best cut of a genre with n positives is averaged with the one best cut for all genres together, with weights
    n and ``prior_strength``: with few positives, the best cut is mostly luck.

    Args:
        probabilities: ``(N,G)`` on posters that no weight was fitted on.
        targets: ``(N,G)``.
        prior_strength: Positives at which a genre's own cut and the common one weigh the same.
    """
    common = _best_cut(probabilities.flatten(), targets.flatten())
    own = torch.stack([_best_cut(p, t) for p, t in zip(probabilities.T, targets.T, strict=True)])
    count = targets.sum(dim=0)
    weight = count / (count + prior_strength)
    return torch.where(count > 0, weight * own + (1 - weight) * common, common)


def _best_cut(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return the cut of highest F1: half-way between the last probability above it and the first below."""
    order = probabilities.argsort(descending=True)
    ranked, hits = probabilities[order].double(), targets[order].cumsum(0).double()
    counts = torch.arange(1, len(ranked) + 1, device=ranked.device)
    f1 = 2 * hits / (counts + targets.sum())
    following = torch.cat([ranked[1:], ranked.new_zeros(1)])
    f1 = torch.where(ranked > following, f1, -1.0)  # a cut cannot part equal probabilities
    best = int(f1.argmax())
    cut = ((ranked[best] + following[best]) / 2).to(probabilities.dtype)
    return torch.where(cut > following[best], cut, probabilities[order[best]])  # the half-way point may round down
