"""ResNet-20 for CIFAR (He et al. 2015, section 4.2), which is in no library."""

from __future__ import annotations

import keras
from keras import layers, ops

from proxy_keras.models.flat import normalised_conv, preprocessing

_BLOCKS_PER_STAGE = 3
_FILTERS = (16, 32, 64)


def features(image_size: int) -> keras.Model:
    """Build ResNet-20 up to its last activation, with 0.27 million parameters.

    Meant for small images (28 to 64 px). Larger images work, but the receptive field covers only
    part of them and the feature maps are large: P/4 cells on each side.

    Args:
        image_size: Side P of the images.
    Returns:
        [B, P, P, 3] in [0, 255] to [B, P/4, P/4, 64].
    Source: He et al., Deep Residual Learning for Image Recognition (2015), section 4.2, with its
        parameter-free shortcuts (option A).
    """
    images = keras.Input((image_size, image_size, 3), name="images")
    x = normalised_conv(preprocessing()(images), _FILTERS[0], name="stem")
    x = layers.ReLU(name="stem_relu")(x)
    for stage, filters in enumerate(_FILTERS, start=1):
        for block in range(1, _BLOCKS_PER_STAGE + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = _block(x, filters, strides=strides, name=f"stage{stage}_block{block}")
    return keras.Model(images, x)


def _block(x: keras.KerasTensor, filters: int, *, strides: int, name: str) -> keras.KerasTensor:
    """Apply a basic residual block; its shortcut is subsampled and padded with zero channels."""
    shortcut = x
    if strides > 1:
        shortcut = layers.MaxPooling2D(1, strides=strides, name=f"{name}_subsample")(shortcut)
        missing = filters - x.shape[-1]
        shortcut = ops.pad(
            shortcut, [[0, 0], [0, 0], [0, 0], [missing // 2, missing - missing // 2]]
        )
    x = normalised_conv(x, filters, strides=strides, name=f"{name}_1")
    x = layers.ReLU(name=f"{name}_1_relu")(x)
    x = normalised_conv(x, filters, name=f"{name}_2")
    x = layers.Add(name=f"{name}_add")([x, shortcut])
    return layers.ReLU(name=f"{name}_relu")(x)
