"""Rebuilds a library's backbone as one flat graph on raw images, with some layers changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

# Images with fewer pixels a side than this get a stem that does not shrink them at once.
SMALL_IMAGE = 64

# What changes in a layer, by the layer's name: new configuration values, or None to leave the layer
# out.
Edits = Mapping[str, Mapping[str, Any] | None]

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)

# Keras's own default of 0.99 needs hundreds of steps until its averages mean something. A small
# data set has a few dozen an epoch, and proxies are chosen by the answers at inference.
_BATCH_NORM_MOMENTUM = 0.9


def preprocessing(
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    std: tuple[float, float, float] = IMAGENET_STD,
) -> keras.layers.Rescaling:
    """Returns the layer that turns [0, 255] RGB into `(image - mean) / std`, computed in float32.

    A network always has the same one, whatever its weights: weights that were made for another are
    adapted when they are loaded, so that a file of weights means the same in every model of that
    name.
    """
    return keras.layers.Rescaling(
        scale=[1.0 / s for s in std],
        offset=[-m / s for m, s in zip(mean, std, strict=True)],
        dtype="float32",
        name="preprocessing",
    )


def flat_features(
    backbone: keras.Model,
    image_size: int,
    rescaling: keras.layers.Rescaling,
    edits: Edits | None = None,
) -> keras.Model:
    """Returns a fresh flat model from raw images to the backbone's features.

    Args:
        backbone: A functional model from normalised images to features. Not modified; its weights
            are not taken over.
        image_size: Side P of the images.
        rescaling: The layer put in front.
        edits: Changes by layer name.
    Returns:
        A functional model, [B, P, P, 3] in [0, 255] to [B, h, w, C], with newly drawn weights.
    """
    changes = edits or {}
    images = keras.Input((image_size, image_size, 3), name="images")

    def renew(layer: keras.Layer) -> keras.Layer:
        edit = changes.get(layer.name, {})
        if edit is None:
            return keras.layers.Identity(name=layer.name)
        config = {**layer.get_config(), **edit}
        if isinstance(layer, keras.layers.BatchNormalization):
            config["momentum"] = _BATCH_NORM_MOMENTUM
        return layer.__class__.from_config(config)

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        if args and args[0] is images:
            args = (rescaling(images), *args[1:])
        return layer(*args, **kwargs)

    return keras.models.clone_model(
        backbone, input_tensors=images, clone_function=renew, call_function=call
    )
