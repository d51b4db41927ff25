"""Evaluation: every score of a checkpoint, from the checkpoint alone."""

from postergenre.evaluation.config import EvaluateConfig
from postergenre.evaluation.run import evaluate, scored
from postergenre.evaluation.scored import Scored

__all__ = ["EvaluateConfig", "Scored", "evaluate", "scored"]
