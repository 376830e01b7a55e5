"""Builds a classifier by name: preprocessing inside, average-pooled features, logits out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras

from proxy_keras.models import (
    efficientnet_b0,
    resnet18,
    resnet20,
    resnet50,
    small_cnn,
    vgg16,
    vit_base_patch16_224,
)
from proxy_keras.models.flat import SMALL_IMAGE
from proxy_keras.models.freezing import HEAD
from proxy_keras.models.weights_file import load_matching_weights

# Networks that have ImageNet weights: `features(image_size, pretrained=...)`.
_LIBRARY: dict[str, Callable[..., keras.Model]] = {
    "resnet18": resnet18.features,
    "resnet50": resnet50.features,
    "vgg16": vgg16.features,
    "efficientnet_b0": efficientnet_b0.features,
    "vit_base_patch16_224": vit_base_patch16_224.features,
}
# Networks that have not: `features(image_size)`.
_OURS: dict[str, Callable[[int], keras.Model]] = {
    "resnet20": resnet20.features,
    "small_cnn": small_cnn.features,
}

# Five halvings with one left out would leave nothing of smaller images.
_SMALLEST_IMAGE = 16


def names() -> tuple[str, ...]:
    """Returns the names that `build_model` knows."""
    return tuple(sorted((*_LIBRARY, *_OURS)))


def build_model(
    name: str,
    *,
    num_classes: int,
    image_size: int,
    weights: str | Path = "none",
    dropout: float = 0.0,
    verbose: int = 1,
) -> keras.Model:
    """Returns a classifier that takes raw images and answers logits.

    The graph is one flat functional model (the ViT's backbone is nested): preprocessing, the
    network's features, global average pooling (the ViT: its class token), dropout, and a Dense
    layer named "logits", which is float32 under any dtype policy and has no activation. Newly drawn
    weights follow `keras.utils.set_random_seed`.

    Args:
        name: One of `names()`.
        num_classes: K, at least 2.
        image_size: Side P of the square images, at least 16. Below 64 the network gets a stem that
            keeps the resolution, so that 32 px leave at least 4x4 cells to explain.
        weights: "none" (drawn anew), "imagenet", or a `.weights.h5` or `.keras` file: its layers of
            the same name and shapes are taken, and what was taken is printed.
        dropout: Share of the pooled features dropped in training, in [0, 1).
        verbose: 0: what was taken from a file is not printed.
    Returns:
        A model from [B, P, P, 3] float32 in [0, 255] to [B, K] float32 logits.
    Raises:
        ValueError: An argument is outside its range; the network has no ImageNet weights, or none
            for images this small; the file has nothing for this network.
        ConnectionError: The ImageNet weights are neither on disk nor within reach.
        FileNotFoundError: `weights` names a file that does not exist.
    """
    _check(name, num_classes, image_size, weights, dropout)
    if name in _LIBRARY:
        features = _LIBRARY[name](image_size, pretrained=weights == "imagenet")
    else:
        features = _OURS[name](image_size)
    x = features.outputs[0]
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    logits = keras.layers.Dense(num_classes, dtype="float32", name=HEAD)(x)
    model = keras.Model(features.inputs[0], logits, name=name)
    if weights not in ("none", "imagenet"):
        loaded = load_matching_weights(model, weights)
        if verbose:
            print(f"{weights}: {loaded.describe()}")
    return model


def _check(
    name: str, num_classes: int, image_size: int, weights: str | Path, dropout: float
) -> None:
    """Raises ValueError for arguments that no model can be built from."""
    if name not in names():
        raise ValueError(f"Unknown model '{name}'. Known: {', '.join(names())}.")
    if num_classes < 2:
        raise ValueError(
            "A classifier needs one logit for each of at least two classes. Received:"
            f" num_classes={num_classes}."
        )
    if image_size < _SMALLEST_IMAGE:
        raise ValueError(
            f"Images must have at least {_SMALLEST_IMAGE} px a side. Received:"
            f" image_size={image_size}. Enlarge them: pass a larger image_size to the data too."
        )
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"`dropout` must be in [0, 1). Received: dropout={dropout}.")
    if weights == "imagenet":
        if name in _OURS:
            raise ValueError(
                f"There are no ImageNet weights for {name}. Use weights='none' or another model."
            )
        if image_size < SMALL_IMAGE:
            raise ValueError(
                f"ImageNet weights do not fit images below {SMALL_IMAGE} px: the stem for small"
                f" images has other kernels and strides. Received: image_size={image_size}. Use"
                f" image_size={SMALL_IMAGE} or more, or weights='none'."
            )
