"""What a sweep can be told."""

import re
from dataclasses import dataclass, field
from typing import Any

from postergenre.errors import ConfigError
from postergenre.training import TrainConfig


@dataclass(kw_only=True, slots=True)
class SweepConfig(TrainConfig):
    """Everything ``scripts/sweep.py`` can be told: what training can, what to vary, and how often."""

    space: dict[str, Any] = field(default_factory=dict)
    """Settings to search, nested as they are: ``{optim: {lr: {low: 1e-4, high: 1e-2, log: true}}}``; see ``space``."""
    study: str = "sweep"
    """Name of the study: the same name goes on with it, from as many processes as one likes."""
    trials: int = 100
    """Trials to end with, by all workers together. Pruned ones and those that fail by their own settings count."""
    storage: str | None = None
    """Where Optuna keeps the study: an SQLAlchemy address, or a file for Optuna's journal; ``study.db``, an SQLite file
    in the study's folder, where nothing is said."""
    prune: bool = True
    """Stop a trial whose best ``val/map`` so far is below the median of the others at its epoch."""
    keep: int = 1
    """How many of the best trials keep their checkpoints; the files of the others are deleted."""

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        if not re.fullmatch(r"[\w.-]*\w[\w.-]*", self.study):
            raise ConfigError(f"study names a folder: letters, digits, '.', '_' and '-', not {self.study!r}")
        for name, least in (("trials", 1), ("keep", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.resume:
            raise ConfigError("resume belongs to one training; to go on with a sweep, start it again with its study")

    def training(self, **changes: Any) -> TrainConfig:
        """Return what each trial is told, but for its own settings."""
        settings: dict[str, Any] = {name: getattr(self, name) for name in TrainConfig.__dataclass_fields__}
        return TrainConfig(**settings | changes)
