"""Many trainings, one question: which settings are best? Optuna around training."""

from postergenre.sweeping.config import SweepConfig
from postergenre.sweeping.run import sweep

__all__ = ["SweepConfig", "sweep"]
