"""Evaluation: every score of a checkpoint, from the checkpoint alone."""

from postergenre.evaluation.run import EvaluateConfig, evaluate

__all__ = ["EvaluateConfig", "evaluate"]
