"""ResNet-50 (He et al. 2015) from keras.applications."""

from __future__ import annotations

import keras

from proxy_keras.models import imagenet
from proxy_keras.models.flat import (
    IMAGENET_STD,
    RESNET_SMALL_STEM,
    SMALL_IMAGE,
    flat_features,
    preprocessing,
)

# The RGB means that the ImageNet weights were trained with.
_MEAN = (123.68, 116.779, 103.939)


def features(image_size: int, *, pretrained: bool = False) -> keras.Model:
    """Build ResNet-50 up to its last activation.

    Args:
        image_size: Side P of the images. Below 64 the stem keeps the resolution.
        pretrained: Load the ImageNet weights of keras.applications.
    Returns:
        [B, P, P, 3] in [0, 255] to [B, P/32, P/32, 2048] (P/8 below 64 px).
    Raises:
        ConnectionError: The pretrained weights are not on disk and cannot be downloaded.
    Source: He et al., Deep Residual Learning for Image Recognition (2015).
    """
    rescaling = preprocessing(_MEAN, IMAGENET_STD)
    if pretrained:
        backbone = imagenet.applications_backbone(
            keras.applications.ResNet50, "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
        )
        expects = keras.applications.resnet50.preprocess_input
        return imagenet.pretrained_features(backbone, image_size, rescaling, "conv1_conv", expects)
    backbone = keras.applications.ResNet50(
        weights=None, include_top=False, input_shape=(None, None, 3)
    )
    edits = RESNET_SMALL_STEM if image_size < SMALL_IMAGE else {}
    return flat_features(backbone, image_size, rescaling, edits)
