"""Heatmaps that show where in an image a classifier looked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy_keras.io.lazy_names import lazy_names

if TYPE_CHECKING:
    from proxy_keras.attribution.catalogue import names
    from proxy_keras.attribution.explain_images import explain
    from proxy_keras.attribution.explainer import Explainer
    from proxy_keras.attribution.registry import get
    from proxy_keras.attribution.target_layer import find_target_layer

__all__ = ["Explainer", "explain", "find_target_layer", "get", "names"]

_MODULES = {
    "Explainer": "explainer",
    "explain": "explain_images",
    "find_target_layer": "target_layer",
    "get": "registry",
    "names": "catalogue",
}


# Lazy, because the catalogue must be importable without TensorFlow.
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
