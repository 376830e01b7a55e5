"""Changes to training images: the proxy operation and the geometric augmentation of the recipe."""

from proxy_keras.augment.attenuate import REPLACEMENTS, area_thresholds, attenuate
from proxy_keras.augment.geometry import FlipAndRotate

__all__ = ["REPLACEMENTS", "FlipAndRotate", "area_thresholds", "attenuate"]
