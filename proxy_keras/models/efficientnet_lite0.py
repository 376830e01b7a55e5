"""EfficientNet-Lite0 as a flat Keras graph."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import layers


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


def efficientnet_lite0(
    *, num_classes: int = 1000, image_size: int = 224, dropout: float = 0.2
) -> keras.Model:
    """Return a classifier from raw images to logits, with newly drawn weights.

    Layers are named as in the PyTorch file (`_blocks.3._bn1` is `blocks_3_bn1`). "top_activation"
    is the last feature map [B, P/32, P/32, 1280], "fc" the head.

    Args:
        num_classes: K.
        image_size: Side P of the images. The published accuracy is for 224.
        dropout: Share of the pooled features dropped in training.

    Returns:
        A model from [B, P, P, 3] in [0, 255] to [B, K] logits.

    Source: Tan & Le, EfficientNet (2019); the Lite variants are those of TensorFlow's TPU models.
    """
    images = keras.Input((image_size, image_size, 3), name="images")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="preprocessing")(images)
    x = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="conv_stem")(x)
    x = _activated(x, "bn0", "stem_activation")
    number = 0
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            block = stage if repeat == 0 else stage._replace(strides=1)
            x = _block(x, block, f"blocks_{number}")
            number += 1
    x = layers.Conv2D(1280, 1, use_bias=False, name="conv_head")(x)
    x = _activated(x, "bn1", "top_activation")
    x = layers.GlobalAveragePooling2D(name="pooling")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="fc")(x)
    return keras.Model(images, logits, name="efficientnet_lite0")


def _block(x: Any, stage: _Stage, name: str) -> Any:
    """Apply a mobile inverted bottleneck: expand, filter each channel, project."""
    shortcut, channels = x, x.shape[-1]
    if stage.expansion > 1:
        widened = channels * stage.expansion
        x = layers.Conv2D(widened, 1, use_bias=False, name=f"{name}_expand_conv")(x)
        x = _activated(x, f"{name}_bn0", f"{name}_expand_activation")
    # TensorFlow's "same", as in the training of the weights: with strides, it pads only the right
    # and the bottom, unlike PyTorch's own padding.
    x = layers.DepthwiseConv2D(
        stage.kernel_size,
        strides=stage.strides,
        padding="same",
        use_bias=False,
        name=f"{name}_depthwise_conv",
    )(x)
    x = _activated(x, f"{name}_bn1", f"{name}_activation")
    x = layers.Conv2D(stage.filters, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn2")(x)
    if stage.strides == 1 and channels == stage.filters:
        x = layers.Add(name=f"{name}_add")([x, shortcut])
    return x


def _activated(x: Any, norm: str, activation: str) -> Any:
    x = layers.BatchNormalization(epsilon=1e-3, name=norm)(x)
    return layers.ReLU(max_value=6.0, name=activation)(x)
