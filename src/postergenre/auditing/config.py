"""What an audit can be told."""

from dataclasses import dataclass, field
from typing import Any

from postergenre.data.datamodule import DataConfig
from postergenre.errors import ConfigError
from postergenre.genres import GenreMapping


@dataclass(kw_only=True, slots=True)
class AuditConfig:
    """Everything ``scripts/audit.py`` can be told."""

    data: DataConfig = field(default_factory=DataConfig)
    """The poster set; ``split`` and ``fold`` say whose leaks and balance are looked at."""
    genres: GenreMapping = field(default_factory=GenreMapping)
    """What happens to the genres that the CSV names."""
    predictions: str | None = None
    """``predictions.csv`` of ``scripts/crossvalidate.py``: what networks said about posters they never saw. Labels that
    disagree are suspects."""
    checkpoint: Any = None
    """A checkpoint, or several, to find suspects with where there are no such predictions; it remembers the labels that
    it was trained on, wrong ones too."""
    suspects: int = 400
    """At most so many of the likely wrong, and of the likely missing labels are written to ``suspects.csv``."""
    gpus: str = "auto"
    """What the checkpoint runs on: ``auto`` (a CUDA GPU where there is one), ``0`` (the CPU) or ``1``."""
    output_dir: str = "outputs/audit"
    """Where everything is written."""

    def __post_init__(self) -> None:
        if self.suspects < 1:
            raise ConfigError(f"suspects must be at least 1, not {self.suspects}")
        if self.predictions and self.checkpoint is not None:
            raise ConfigError("give predictions or checkpoint, not both; predictions of posters never seen are better")
