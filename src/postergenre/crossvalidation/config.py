"""What a cross-validation can be told."""

from dataclasses import dataclass, field

from postergenre.data.splits import NUM_FOLDS
from postergenre.errors import ConfigError
from postergenre.training import TrainConfig


@dataclass(kw_only=True, slots=True)
class CrossvalidateConfig(TrainConfig):
    """Everything ``scripts/crossvalidate.py`` can be told: what training can, and which folds."""

    folds: list[int] = field(default_factory=lambda: list(range(NUM_FOLDS)))
    """Which of the five folds to train and score."""
    tta: str = "none"
    """As in evaluation: ``none``, ``flip`` or ``crops``."""
    against: str | None = None
    """The folder of another cross-validation of the same posters to compare with, genre by genre."""
    ensemble: list[str] = field(default_factory=list)
    """Folders of cross-validations of the same posters: their networks of a fold answer together, and nothing is
    trained. Of the other settings, ``folds``, ``tta``, ``against`` and ``trainer.gpus`` count."""

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        if not self.folds or len(set(self.folds)) < len(self.folds) or not set(self.folds) <= set(range(NUM_FOLDS)):
            raise ConfigError(f"folds must be different numbers in 0 … {NUM_FOLDS - 1}, not {self.folds}")
        if len(self.ensemble) == 1:
            raise ConfigError(f"ensemble takes two or more folders, as ensemble=[A,B], not {self.ensemble[0]} alone")
        if self.data.split != "fixed":
            raise ConfigError(f"cross-validation makes its own splits: data.split=fixed, not {self.data.split}")
        for name in ("resume", "start"):
            if getattr(self, name):
                raise ConfigError(f"{name} belongs to one fold: use it with scripts/train.py data.fold=…")
