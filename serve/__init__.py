"""Inference with an exported model, without TensorFlow: command line, HTTP server, Python API."""

from serve.card import ModelCard
from serve.images import UnreadableImageError
from serve.model import Answers, Model
from serve.prediction import Prediction, top_k

__all__ = [
    "Answers",
    "Model",
    "ModelCard",
    "Prediction",
    "UnreadableImageError",
    "top_k",
]
