"""What a checkpoint says about the run that it was taken from, looked at before it is gone on with."""

from typing import Any

from torch import Tensor

from postergenre.classifier.module import PosterClassifier
from postergenre.classifier.optim import build_optimizer
from postergenre.errors import CheckpointError

KINDS: dict[str, type] = {
    "epoch": int, "global_step": int, "pytorch-lightning_version": str, "loops": dict, "callbacks": dict,
    "optimizer_states": list, "lr_schedulers": list, "order": dict, "batches": int, "rng": dict,
}  # fmt: skip
OLD = ("order", "batches", "rng", "callbacks")
"""What checkpoints may lack that were made before it was kept."""


def check_run(path: str, checkpoint: dict[str, Any], classifier: PosterClassifier) -> None:
    """See that a checkpoint describes a run of this classifier: torch takes an optimiser's memory of any shape.

    Raises:
        CheckpointError: It holds weights and no run, or describes none that could have been.
    """
    if "epoch" not in checkpoint:
        raise CheckpointError(f"{path} holds weights and no training run: begin with it, start=FILE")
    for name, kind in KINDS.items():
        if name in OLD and name not in checkpoint:
            continue
        value = checkpoint.get(name)
        right = isinstance(value, kind) and not isinstance(value, bool)
        if not right or (kind is int and checkpoint[name] < 0):
            raise CheckpointError(f"cannot resume {path}: it does not say {name} as training does")
    if checkpoint.get("batches") and "order" not in checkpoint:
        raise CheckpointError(f"cannot resume {path}: it does not say order as training does")
    if not {"epoch_progress", "state_dict"} <= set(_table(checkpoint["loops"].get("fit_loop"))):
        raise CheckpointError(f"cannot resume {path}: it does not say loops as training does")
    if not checkpoint["optimizer_states"]:
        raise CheckpointError(f"cannot resume {path}: it does not say optimizer_states as training does")
    optimizer = build_optimizer(classifier.network, classifier.optim)
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for number, moments in _moments(checkpoint["optimizer_states"]):
        if isinstance(number, str):  # sharded processes gather them by name, and see to their shapes
            continue
        if not (number in range(len(weights)) and isinstance(moments, dict)):
            raise CheckpointError(f"cannot resume {path}: its optimiser knows other weights than this run")
        for moment in moments.values():
            if isinstance(moment, Tensor) and moment.numel() != 1 and moment.shape != weights[number].shape:
                raise CheckpointError(f"cannot resume {path}: its optimiser knows weights of other shapes")


def _table(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _moments(states: list[Any]) -> list[tuple[Any, Any]]:
    return [pair for state in states for pair in _table(_table(state).get("state")).items()]
