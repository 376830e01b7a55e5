"""Inference with an exported model, without TensorFlow: command line, HTTP server, Python API."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serve.card import Cue, ModelCard
    from serve.images import UnreadableImageError
    from serve.model import Answers, Model
    from serve.prediction import Prediction, top_k

__all__ = [
    "Answers",
    "Cue",
    "Model",
    "ModelCard",
    "Prediction",
    "UnreadableImageError",
    "top_k",
]

_HOMES = {
    "Answers": "model",
    "Cue": "card",
    "Model": "model",
    "ModelCard": "card",
    "Prediction": "prediction",
    "UnreadableImageError": "images",
    "top_k": "prediction",
}


# A command imports this first, and says what to install when ONNX Runtime is missing.
def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
