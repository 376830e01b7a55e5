"""Heatmaps that show where in an image a classifier looked."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxy_keras.attribution.catalogue import names
    from proxy_keras.attribution.explain_images import explain
    from proxy_keras.attribution.explainer import Explainer
    from proxy_keras.attribution.registry import get
    from proxy_keras.attribution.target_layer import find_target_layer

__all__ = ["Explainer", "explain", "find_target_layer", "get", "names"]

_HOMES = {
    "Explainer": "explainer",
    "explain": "explain_images",
    "find_target_layer": "target_layer",
    "get": "registry",
    "names": "catalogue",
}


# Lazy, because the catalogue must be importable without TensorFlow.
def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
