"""Inference: the genres of new posters. Needs neither Lightning nor a poster CSV."""

from postergenre.inference.predictor import Prediction, Predictor
from postergenre.inference.run import PredictConfig, predict

__all__ = ["PredictConfig", "Prediction", "Predictor", "predict"]
