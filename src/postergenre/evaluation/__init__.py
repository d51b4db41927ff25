"""Evaluation: every score of a checkpoint, from the checkpoint alone."""

from postergenre.evaluation.evaluate import EvaluateConfig, evaluate

__all__ = ["EvaluateConfig", "evaluate"]
