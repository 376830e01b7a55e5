"""VGG-16's convolutions (Simonyan & Zisserman 2014) from keras.applications."""

from __future__ import annotations

import keras

from proxy_keras.models import imagenet
from proxy_keras.models.flat import IMAGENET_STD, SMALL_IMAGE, flat_features, preprocessing

# The RGB means that the ImageNet weights were trained with.
_MEAN = (123.68, 116.779, 103.939)


def features(image_size: int, *, pretrained: bool = False) -> keras.Model:
    """Build VGG-16 up to its last pooling, without the three wide Dense layers.

    Random kernels are scaled for ReLU (He et al. 2015, Delving Deep into Rectifiers): with the
    library's Glorot scale the signal vanishes in thirteen layers without normalisation.

    Args:
        image_size: Side P of the images. Below 64 the first pooling is removed.
        pretrained: Load the ImageNet weights of keras.applications.
    Returns:
        [B, P, P, 3] in [0, 255] to [B, P/32, P/32, 512] (P/16 below 64 px); the last convolution
        has twice as many cells on each side.
    Raises:
        ConnectionError: The pretrained weights are not on disk and cannot be downloaded.
    Source: Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image
        Recognition (2014).
    """
    rescaling = preprocessing(_MEAN, IMAGENET_STD)
    if pretrained:
        backbone = imagenet.applications_backbone(
            keras.applications.VGG16, "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
        )
        expects = keras.applications.vgg16.preprocess_input
        return imagenet.pretrained_features(
            backbone, image_size, rescaling, "block1_conv1", expects
        )
    backbone = keras.applications.VGG16(
        weights=None, include_top=False, input_shape=(None, None, 3)
    )
    edits: dict[str, dict[str, object] | None] = {
        layer.name: {"kernel_initializer": "he_normal"}
        for layer in backbone.layers
        if isinstance(layer, keras.layers.Conv2D)
    }
    if image_size < SMALL_IMAGE:
        edits["block1_pool"] = None
    return flat_features(backbone, image_size, rescaling, edits)
