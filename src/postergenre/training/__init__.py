"""Training: from a config to checkpoints, logs and a validation score."""

from postergenre.training.config import TrainConfig, TrainerConfig
from postergenre.training.run import Trained, train

__all__ = ["TrainConfig", "Trained", "TrainerConfig", "train"]
