"""Inference: the genres of new posters. Needs neither Lightning nor a poster CSV."""

from postergenre.inference.predict import PredictConfig, predict
from postergenre.inference.predictor import Prediction, Predictor

__all__ = ["PredictConfig", "Prediction", "Predictor", "predict"]
