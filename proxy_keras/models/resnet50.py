"""ResNet-50 (He et al. 2015) from keras.applications."""

from __future__ import annotations

import keras

from proxy_keras.models import imagenet
from proxy_keras.models.flat import (
    IMAGENET_STD,
    SMALL_IMAGE,
    Edits,
    flat_features,
    preprocessing,
)

# The means that its ImageNet weights were trained with, in RGB.
_MEAN = (123.68, 116.779, 103.939)

# As He et al. do for CIFAR: 3x3 without a stride, and no pooling.
_SMALL_STEM: Edits = {
    "conv1_pad": None,
    "conv1_conv": {"kernel_size": 3, "strides": 1, "padding": "same"},
    "pool1_pad": None,
    "pool1_pool": None,
}


def features(image_size: int, *, pretrained: bool = False) -> keras.Model:
    """Returns ResNet-50 up to its last activation.

    Args:
        image_size: Side P of the images. Below 64 the stem keeps the resolution.
        pretrained: With the ImageNet weights of keras.applications.
    Returns:
        [B, P, P, 3] in [0, 255] to [B, P/32, P/32, 2048] (P/8 below 64 px).
    Raises:
        ConnectionError: The pretrained weights are neither on disk nor within reach.
    Source: He et al., Deep Residual Learning for Image Recognition (2015).
    """
    rescaling = preprocessing(_MEAN, IMAGENET_STD)
    if pretrained:
        backbone = imagenet.applications_backbone(
            keras.applications.ResNet50, "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
        )
        model = flat_features(backbone, image_size, rescaling)
        model.set_weights(backbone.get_weights())
        imagenet.fold_preprocessing(
            model.get_layer("conv1_conv"), rescaling, keras.applications.resnet50.preprocess_input
        )
        return model
    backbone = keras.applications.ResNet50(
        weights=None, include_top=False, input_shape=(None, None, 3)
    )
    edits = _SMALL_STEM if image_size < SMALL_IMAGE else {}
    return flat_features(backbone, image_size, rescaling, edits)
