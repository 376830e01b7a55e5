"""Changes to training images: the proxy operation, geometry, and augmentations by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy_keras.io.lazy_names import lazy_names

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
    "Augmentation": "compose",
    "AugmentationSpec": "catalogue",
    "BatchLayer": "batch_layer",
    "Compose": "compose",
    "ConsistentModel": "consistency",
    "Curriculum": "curriculum",
    "CurriculumClock": "curriculum",
    "FlipAndRotate": "geometry",
    "LatentMixing": "manifold_mixup",
    "REPLACEMENTS": "catalogue",
    "Views": "consistency",
    "adapt": "dataset_statistics",
    "area_thresholds": "attenuation",
    "attenuate": "attenuation",
    "build": "registry",
    "cross_entropy_of_shares": "snapmix",
    "get": "registry",
    "jensen_shannon_loss": "consistency",
    "names": "catalogue",
    "parse": "registry",
    "register_all": "registry",
    "sample_weights": "labels",
}


# Lazy, so that names and texts of augmentations can be checked without importing TensorFlow.
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
