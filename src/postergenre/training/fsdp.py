"""Weights that no process holds whole; the checkpoints are those of any other run."""

from collections.abc import Mapping
from typing import Any

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.strategies import ModelParallelStrategy, ParallelStrategy
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import fully_shard
from torch.optim import Optimizer
from typing_extensions import override

from postergenre.classifier.module import PosterClassifier


class ShardedClassifier(PosterClassifier):
    """Each process keeps its share of every part of the network, and fetches the rest of a part when it runs (FSDP2).

    Zhao et al., "PyTorch FSDP: experiences on scaling fully sharded data parallel", 2023. Names of weights stay.
    """

    @override
    def configure_model(self) -> None:
        network, mesh = self.network, self.device_mesh
        assert mesh is not None
        # Parts and not the whole network: training also calls a frozen prefix alone.
        for part in [*network.stages, network.pool, network.head]:
            if any(True for _ in part.parameters()):
                part.to(memory_format=torch.contiguous_format)  # no other can be divided
                fully_shard(part, mesh=mesh["data_parallel"])


class Sharded(ModelParallelStrategy):
    """Lightning's FSDP2, whose checkpoints any other run goes on from.

    Lightning numbers the states of the optimiser by the order of the weights in the network, and torch by that in the
    optimiser. Ours come head first: each weight would get the moments of another one.
    """

    def __init__(self, num_ranks: int) -> None:
        super().__init__(data_parallel_size=num_ranks, tensor_parallel_size=1, save_distributed_checkpoint=False)

    @property
    @override
    def lightning_restore_optimizer(self) -> bool:
        return True

    @override
    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        return ParallelStrategy.load_checkpoint(self, checkpoint_path, weights_only)

    @override
    def lightning_module_state_dict(self) -> dict[str, Any]:
        return {name: _laid_out(value) for name, value in super().lightning_module_state_dict().items()}

    @override
    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        assert self.model is not None
        options = StateDictOptions(full_state_dict=True, strict=strict)
        set_model_state_dict(self.model, dict(checkpoint["state_dict"]), options=options)

    @override
    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        assert self.model is not None
        if isinstance(optimizer, LightningOptimizer):
            optimizer = optimizer.optimizer
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        named: dict[str, Any] = dict(get_optimizer_state_dict(self.model, optimizer, options=options))
        if not self.is_global_zero:  # all of it is with the first process
            return named
        for moments in named["state"].values():
            moments |= {name: _laid_out(value) for name, value in moments.items()}
        names = [name for group in named["param_groups"] for name in group["params"]]
        return _renamed(named, {name: number for number, name in enumerate(names)})

    @override
    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        assert self.model is not None
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            ordered = [names[parameter] for group in optimizer.param_groups for parameter in group["params"]]
            named = _renamed(state, dict(enumerate(ordered)))
            set_optimizer_state_dict(self.model, optimizer, named, options=StateDictOptions(full_state_dict=True))


def _laid_out(value: Any) -> Any:
    """Return a tensor in the memory order of whole networks: a fused optimiser does not look whether both agree."""
    if isinstance(value, torch.Tensor) and value.ndim == 4:
        return value.contiguous(memory_format=torch.channels_last)
    return value


def _renamed(state: Mapping[str, Any], names: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the state of an optimiser with other names for its parameters."""
    groups = [group | {"params": [names[name] for name in group["params"]]} for group in state["param_groups"]]
    return {"state": {names[name]: value for name, value in state["state"].items()}, "param_groups": groups}
