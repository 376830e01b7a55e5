"""Image classifiers by name: [0, 255] images in, logits out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy_keras.io.lazy_names import lazy_names

if TYPE_CHECKING:
    from proxy_keras.models.build import build_model
    from proxy_keras.models.catalogue import names
    from proxy_keras.models.freezing import freeze_backbone, unfreeze
    from proxy_keras.models.weights_file import LoadedLayers, load_matching_weights

__all__ = [
    "LoadedLayers",
    "build_model",
    "freeze_backbone",
    "load_matching_weights",
    "names",
    "unfreeze",
]

_MODULES = {
    "LoadedLayers": "weights_file",
    "build_model": "build",
    "freeze_backbone": "freezing",
    "load_matching_weights": "weights_file",
    "names": "catalogue",
    "unfreeze": "freezing",
}


# Keras takes seconds to import; `names` does not need it.
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
