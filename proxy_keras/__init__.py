"""Proxy Attention for Keras 3: classifiers that learn from where they looked when they erred."""

from proxy_keras.attribution import explain
from proxy_keras.augment import attenuate
from proxy_keras.callback import ProxyAttention
from proxy_keras.data import ImageData
from proxy_keras.models import build_model
from proxy_keras.schedule import every, plateau
from proxy_keras.step_log import StepSummary

__version__ = "0.1.0"

__all__ = [
    "ImageData",
    "ProxyAttention",
    "StepSummary",
    "attenuate",
    "build_model",
    "every",
    "explain",
    "plateau",
]
