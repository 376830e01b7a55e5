"""Image classifiers that take [0, 255] images and answer logits, by name."""

from proxy_keras.models.build import build_model, names
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
