"""Changes to training images: the proxy operation, geometry, and augmentations by name."""

from proxy_keras.augment.attenuation import REPLACEMENTS, area_thresholds, attenuate
from proxy_keras.augment.batch_layer import BatchLayer
from proxy_keras.augment.consistency import ConsistentModel, Views, jensen_shannon_loss
from proxy_keras.augment.curriculum import Curriculum, CurriculumClock
from proxy_keras.augment.dataset_statistics import adapt
from proxy_keras.augment.geometry import FlipAndRotate
from proxy_keras.augment.labels import sample_weights
from proxy_keras.augment.manifold_mixup import LatentMixing
from proxy_keras.augment.registry import Augmentation, Compose, get, names, parse
from proxy_keras.augment.snapmix import cross_entropy_of_shares

__all__ = [
    "REPLACEMENTS",
    "Augmentation",
    "BatchLayer",
    "ConsistentModel",
    "Curriculum",
    "CurriculumClock",
    "FlipAndRotate",
    "Compose",
    "LatentMixing",
    "Views",
    "area_thresholds",
    "attenuate",
    "cross_entropy_of_shares",
    "get",
    "jensen_shannon_loss",
    "names",
    "parse",
    "sample_weights",
    "adapt",
]
