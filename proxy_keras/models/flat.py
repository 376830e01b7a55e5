"""Flat graphs on raw images: their first layers, and rebuilding a library's backbone as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

# Images with shorter sides get a stem that keeps the resolution.
SMALL_IMAGE = 64

# Changes by layer name: new config values, or None to remove the layer.
Edits = Mapping[str, Mapping[str, Any] | None]

# As He et al. do for CIFAR: a 3x3 kernel with stride 1, and no pooling.
RESNET_SMALL_STEM: Edits = {
    "conv1_pad": None,
    "conv1_conv": {"kernel_size": 3, "strides": 1, "padding": "same"},
    "pool1_pad": None,
    "pool1_pool": None,
}

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)

# With Keras' default of 0.99 the averages need hundreds of steps to settle. A small data set has a
# few dozen per epoch, and proxies are selected by predictions at inference.
BATCH_NORM_MOMENTUM = 0.9


def preprocessing(
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    std: tuple[float, float, float] = IMAGENET_STD,
) -> keras.layers.Rescaling:
    """Return the layer that maps [0, 255] RGB to `(image - mean) / std`, computed in float32.

    Every model of a name has the same preprocessing. Pretrained weights that expect another are
    adapted when they are loaded, so a weights file fits every model of that name.
    """
    return keras.layers.Rescaling(
        scale=[1.0 / s for s in std],
        offset=[-m / s for m, s in zip(mean, std, strict=True)],
        dtype="float32",
        name="preprocessing",
    )


def normalised_conv(
    x: keras.KerasTensor, filters: int, *, strides: int = 1, name: str
) -> keras.KerasTensor:
    """Apply a 3x3 convolution and batch normalisation, the layers NAME_conv and NAME_bn."""
    x = keras.layers.Conv2D(
        filters,
        3,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return keras.layers.BatchNormalization(
        momentum=BATCH_NORM_MOMENTUM, epsilon=1e-5, name=f"{name}_bn"
    )(x)


def flat_features(
    backbone: keras.Model,
    image_size: int,
    rescaling: keras.layers.Rescaling,
    edits: Edits | None = None,
) -> keras.Model:
    """Build a new flat model from raw images to the backbone's features.

    Args:
        backbone: A functional model from normalised images to features. Not modified; its weights
            are not copied.
        image_size: Side P of the images.
        rescaling: The preprocessing layer.
        edits: Changes by layer name.
    Returns:
        A functional model, [B, P, P, 3] in [0, 255] to [B, h, w, C], with new initial weights.
    """
    changes = edits or {}
    images = keras.Input((image_size, image_size, 3), name="images")

    def renew(layer: keras.Layer) -> keras.Layer:
        edit = changes.get(layer.name, {})
        if edit is None:
            return keras.layers.Identity(name=layer.name)
        config = {**layer.get_config(), **edit}
        if isinstance(layer, keras.layers.BatchNormalization):
            config["momentum"] = BATCH_NORM_MOMENTUM
        return layer.__class__.from_config(config)

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        if args and args[0] is images:
            args = (rescaling(images), *args[1:])
        return layer(*args, **kwargs)

    return keras.models.clone_model(
        backbone, input_tensors=images, clone_function=renew, call_function=call
    )
