"""ResNet-18 (He et al. 2015) from KerasHub."""

from __future__ import annotations

import keras
import keras_hub

from proxy_keras.models import imagenet
from proxy_keras.models.flat import SMALL_IMAGE, Edits, flat_features, preprocessing

# As He et al. do for CIFAR: 3x3 without a stride, and no pooling.
_SMALL_STEM: Edits = {
    "conv1_pad": None,
    "conv1_conv": {"kernel_size": 3, "strides": 1, "padding": "same"},
    "pool1_pad": None,
    "pool1_pool": None,
}


def features(image_size: int, *, pretrained: bool = False) -> keras.Model:
    """Returns ResNet-18 up to its last activation.

    Args:
        image_size: Side P of the images. Below 64 the stem keeps the resolution.
        pretrained: With the ImageNet weights of KerasHub's `resnet_18_imagenet`.
    Returns:
        [B, P, P, 3] in [0, 255] to [B, P/32, P/32, 512] (P/8 below 64 px).
    Raises:
        ConnectionError: The pretrained weights are neither on disk nor within reach.
    Source: He et al., Deep Residual Learning for Image Recognition (2015).
    """
    rescaling = preprocessing()
    if pretrained:
        backbone, expects = imagenet.hub_backbone("resnet_18_imagenet")
        model = flat_features(backbone, image_size, rescaling)
        model.set_weights(backbone.get_weights())
        imagenet.fold_preprocessing(model.get_layer("conv1_conv"), rescaling, expects)
        return model
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[2, 2, 2, 2],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
    )
    edits = _SMALL_STEM if image_size < SMALL_IMAGE else {}
    return flat_features(backbone, image_size, rescaling, edits)
