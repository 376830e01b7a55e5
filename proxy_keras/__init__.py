"""Proxy Attention for Keras 3: classifiers that learn from where they looked when they erred."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy_keras.io.lazy_names import lazy_names

if TYPE_CHECKING:
    from proxy_keras.attribution import explain
    from proxy_keras.augment import attenuate
    from proxy_keras.cues import Cues, find_cues
    from proxy_keras.data import ImageData
    from proxy_keras.models import build_model
    from proxy_keras.proxy.callback import ProxyAttention
    from proxy_keras.proxy.step_log import StepSummary
    from proxy_keras.settings.schedule import every, plateau, start

__version__ = "0.1.0"

__all__ = [
    "Cues",
    "ImageData",
    "ProxyAttention",
    "StepSummary",
    "attenuate",
    "build_model",
    "every",
    "explain",
    "find_cues",
    "plateau",
    "start",
]

_MODULES = {
    "Cues": "cues",
    "ImageData": "data",
    "ProxyAttention": "proxy.callback",
    "StepSummary": "proxy.step_log",
    "attenuate": "augment",
    "build_model": "models",
    "every": "settings.schedule",
    "explain": "attribution",
    "find_cues": "cues",
    "plateau": "settings.schedule",
    "start": "settings.schedule",
}


# Lazy, because TensorFlow takes seconds to import, and some commands do not need it.
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
