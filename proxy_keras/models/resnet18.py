"""ResNet-18 (He et al. 2015) from KerasHub."""

from __future__ import annotations

import keras

from proxy_keras.io.extras import extra
from proxy_keras.models import imagenet
from proxy_keras.models.flat import (
    RESNET_SMALL_STEM,
    SMALL_IMAGE,
    flat_features,
    preprocessing,
)


def features(image_size: int, *, pretrained: bool = False) -> keras.Model:
    """Build ResNet-18 up to its last activation.

    Args:
        image_size: Side P of the images. Below 64 the stem keeps the resolution.
        pretrained: Load the ImageNet weights of KerasHub's `resnet_18_imagenet`.
    Returns:
        [B, P, P, 3] in [0, 255] to [B, P/32, P/32, 512] (P/8 below 64 px).
    Raises:
        ConnectionError: The pretrained weights are not on disk and cannot be downloaded.
    Source: He et al., Deep Residual Learning for Image Recognition (2015).
    """
    rescaling = preprocessing()
    if pretrained:
        backbone, expects = imagenet.hub_backbone("resnet_18_imagenet")
        return imagenet.pretrained_features(backbone, image_size, rescaling, "conv1_conv", expects)
    with extra("train"):
        import keras_hub

    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[2, 2, 2, 2],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
    )
    edits = RESNET_SMALL_STEM if image_size < SMALL_IMAGE else {}
    return flat_features(backbone, image_size, rescaling, edits)
