"""Inference: the genres of new posters. Needs neither Lightning nor a poster CSV."""

from postergenre.inference.config import PredictConfig
from postergenre.inference.predictor import Poster, Prediction, Predictor, load
from postergenre.inference.run import predict

__all__ = ["Poster", "PredictConfig", "Prediction", "Predictor", "load", "predict"]
