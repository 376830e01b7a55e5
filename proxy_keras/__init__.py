"""Proxy Attention for Keras 3: classifiers that learn from where they looked when they erred."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxy_keras.attribution import explain
    from proxy_keras.augment import attenuate
    from proxy_keras.data import ImageData
    from proxy_keras.models import build_model
    from proxy_keras.proxy.callback import ProxyAttention
    from proxy_keras.proxy.step_log import StepSummary
    from proxy_keras.settings.schedule import every, plateau

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

_HOMES = {
    "ImageData": "data",
    "ProxyAttention": "proxy.callback",
    "StepSummary": "proxy.step_log",
    "attenuate": "augment",
    "build_model": "models",
    "every": "settings.schedule",
    "explain": "attribution",
    "plateau": "settings.schedule",
}


# Lazy, because TensorFlow takes seconds to import, and some commands do not need it.
def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
