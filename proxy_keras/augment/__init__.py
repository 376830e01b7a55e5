"""Changes to training images: the proxy operation, geometry, and augmentations by name."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxy_keras.augment.attenuation import area_thresholds, attenuate
    from proxy_keras.augment.batch_layer import BatchLayer
    from proxy_keras.augment.catalogue import REPLACEMENTS, AugmentationSpec, names
    from proxy_keras.augment.compose import Augmentation, Compose
    from proxy_keras.augment.consistency import ConsistentModel, Views, jensen_shannon_loss
    from proxy_keras.augment.curriculum import Curriculum, CurriculumClock
    from proxy_keras.augment.dataset_statistics import adapt
    from proxy_keras.augment.geometry import FlipAndRotate
    from proxy_keras.augment.labels import sample_weights
    from proxy_keras.augment.manifold_mixup import LatentMixing
    from proxy_keras.augment.registry import build, get, parse, register_all
    from proxy_keras.augment.snapmix import cross_entropy_of_shares

__all__ = [
    "REPLACEMENTS",
    "Augmentation",
    "AugmentationSpec",
    "BatchLayer",
    "Compose",
    "ConsistentModel",
    "Curriculum",
    "CurriculumClock",
    "FlipAndRotate",
    "LatentMixing",
    "Views",
    "adapt",
    "area_thresholds",
    "attenuate",
    "build",
    "cross_entropy_of_shares",
    "get",
    "jensen_shannon_loss",
    "names",
    "parse",
    "register_all",
    "sample_weights",
]

_MODULES = {
    "attenuation": ("area_thresholds", "attenuate"),
    "batch_layer": ("BatchLayer",),
    "catalogue": ("REPLACEMENTS", "AugmentationSpec", "names"),
    "compose": ("Augmentation", "Compose"),
    "consistency": ("ConsistentModel", "Views", "jensen_shannon_loss"),
    "curriculum": ("Curriculum", "CurriculumClock"),
    "dataset_statistics": ("adapt",),
    "geometry": ("FlipAndRotate",),
    "labels": ("sample_weights",),
    "manifold_mixup": ("LatentMixing",),
    "registry": ("build", "get", "parse", "register_all"),
    "snapmix": ("cross_entropy_of_shares",),
}


# Lazy, so that names and texts of augmentations can be checked without importing TensorFlow.
def __getattr__(name: str) -> Any:
    for module, members in _MODULES.items():
        if name in members:
            value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
