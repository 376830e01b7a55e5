"""The names of the models; importing them loads neither TensorFlow nor Keras."""

from __future__ import annotations

HAS_IMAGENET_WEIGHTS = {
    "efficientnet_b0": True,
    "efficientnet_lite0": True,
    "resnet18": True,
    "resnet20": False,
    "resnet50": True,
    "small_cnn": False,
    "vgg16": True,
    "vit_base_patch16_224": True,
}
"""Whether ImageNet weights exist, by model name. The module of that name builds the model."""


def names() -> tuple[str, ...]:
    """Return the names that `build_model` accepts, sorted."""
    return tuple(sorted(HAS_IMAGENET_WEIGHTS))
