"""Optimiser and learning-rate schedule."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from postergenre.errors import ConfigError
from postergenre.networks import PosterNetwork

OPTIMIZERS = ("adam", "adamw")
SCHEDULES = ("constant", "cosine")


@dataclass(kw_only=True, slots=True)
class OptimConfig:
    """How the weights change."""

    name: str = "adamw"
    """``adam`` or ``adamw``."""
    lr: float = 1e-3
    """Learning rate of the head."""
    backbone_scale: float = 1.0
    """Learning rate of the backbone, as a multiple of ``lr``."""
    layer_decay: float = 1.0
    """Each stage of the backbone learns at this multiple of the rate of the stage behind it; 1 treats all alike."""
    weight_decay: float = 0.0
    """Decay of weight matrices and kernels; biases and norms never decay."""
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    """Decay rates of the moments."""
    schedule: str = "constant"
    """``constant`` or ``cosine`` (to zero at the last step), after the warm-up."""
    warmup: float = 0.0
    """Share of all steps in which the rate rises linearly from zero."""
    ema: float = 0.0
    """Validate and keep an exponential moving average of the weights with this decay a step; 0 keeps the weights
    themselves. 0.99 remembers about half an epoch of the original posters (180 steps)."""
    output_l2: float = 0.0
    """L2 penalty: this times the sum of the squared weights of the last layer is added to the loss."""

    def __post_init__(self) -> None:
        if self.name not in OPTIMIZERS:
            raise ConfigError(f"no optim.name {self.name!r}; known: {', '.join(OPTIMIZERS)}")
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"no optim.schedule {self.schedule!r}; known: {', '.join(SCHEDULES)}")
        if self.lr <= 0:
            raise ConfigError(f"optim.lr must be above 0, not {self.lr}")
        for name in ("backbone_scale", "weight_decay", "output_l2"):
            if getattr(self, name) < 0:
                raise ConfigError(f"optim.{name} must be 0 or more, not {getattr(self, name)}")
        if not 0 < self.layer_decay <= 1:
            raise ConfigError(f"optim.layer_decay must lie in 0 … 1 (0 excluded), not {self.layer_decay}")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"optim.ema must lie in 0 … 1 (1 excluded), not {self.ema}")
        if not 0 <= self.warmup < 1:
            raise ConfigError(f"optim.warmup is a share of all steps, 0 … 1 (1 excluded), not {self.warmup}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"optim.betas must be two numbers in 0 … 1 (1 excluded), not {self.betas}")


def build_optimizer(network: PosterNetwork, config: OptimConfig, *, fused: bool = False) -> torch.optim.Optimizer:
    """Return the optimiser over what trains: head and backbone with their rates, decaying and not.

    Args:
        network: Whose weights change.
        config: How.
        fused: Let one kernel do the whole step. Lightning then cannot clip gradients in mixed precision.
    """
    stages = network.stage_parameters()
    backbone_lr = config.lr * config.backbone_scale
    groups = _groups("head", network.head.parameters(), config.lr, config.weight_decay)
    if config.layer_decay == 1.0:
        groups += _groups("backbone", [p for stage in stages.values() for p in stage], backbone_lr, config.weight_decay)
    else:
        for depth, (name, parameters) in enumerate(reversed(stages.items())):
            groups += _groups(name, parameters, backbone_lr * config.layer_decay**depth, config.weight_decay)
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    first, second = config.betas
    return kind(groups, lr=config.lr, betas=(first, second), weight_decay=config.weight_decay, fused=fused or None)


def _groups(name: str, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> list[dict[str, object]]:
    training = [p for p in parameters if p.requires_grad]
    decaying, steady = [p for p in training if p.ndim > 1], [p for p in training if p.ndim <= 1]
    return [
        {"name": f"{name}{suffix}", "params": params, "lr": lr, "weight_decay": decay}
        for suffix, params, decay in (("", decaying, weight_decay), ("/no_decay", steady, 0.0))
        if params
    ]


def build_schedule(optimizer: torch.optim.Optimizer, config: OptimConfig, *, num_steps: int) -> LambdaLR:
    """Return the schedule, to be stepped once an optimiser step, ``num_steps`` in all."""
    warmup_steps = round(config.warmup * num_steps)

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        if config.schedule == "constant":
            return 1.0
        progress = (step - warmup_steps) / max(num_steps - warmup_steps, 1)
        return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))

    return LambdaLR(optimizer, factor)
