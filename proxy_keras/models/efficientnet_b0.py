"""EfficientNet-B0 (Tan & Le 2019) from keras.applications."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from proxy_keras.models import imagenet
from proxy_keras.models.flat import SMALL_IMAGE, Edits, flat_features, preprocessing

# Without the first two of the five strides, whose paddings are made for a stride of two.
_SMALL_STEM: Edits = {
    "stem_conv_pad": None,
    "stem_conv": {"strides": 1, "padding": "same"},
    "block2a_dwconv_pad": None,
    "block2a_dwconv": {"strides": 1, "padding": "same"},
}

# keras.applications refuses a smaller fixed size.
_SMALLEST_DECLARED = 32


def features(image_size: int, *, pretrained: bool = False) -> keras.Model:
    """Build EfficientNet-B0 up to its last activation.

    Args:
        image_size: Side P of the images. Below 64 the first two strides are removed.
        pretrained: Load the ImageNet weights of keras.applications.
    Returns:
        [B, P, P, 3] in [0, 255] to [B, P/32, P/32, 1280] (P/8 below 64 px).
    Raises:
        ConnectionError: The pretrained weights are not on disk and cannot be downloaded.
    Source: Tan & Le, EfficientNet: Rethinking Model Scaling for CNNs (2019).
    """
    rescaling = preprocessing()
    # The paddings of the strided layers depend on the size.
    side = image_size if image_size >= _SMALLEST_DECLARED else None
    if pretrained:
        whole = imagenet.applications_backbone(
            keras.applications.EfficientNetB0, "efficientnetb0_notop.h5", (side, side, 3)
        )
        expects, backbone = _split_preprocessing(whole)
        return imagenet.pretrained_features(backbone, image_size, rescaling, "stem_conv", expects)
    whole = keras.applications.EfficientNetB0(
        weights=None, include_top=False, input_shape=(side, side, 3)
    )
    _, backbone = _split_preprocessing(whole)
    edits = _SMALL_STEM if image_size < SMALL_IMAGE else {}
    return flat_features(backbone, image_size, rescaling, edits)


def _split_preprocessing(
    whole: keras.Model,
) -> tuple[Callable[[np.ndarray], Any], keras.Model]:
    """Split the library's model into its preprocessing and the rest."""
    padding = whole.get_layer("stem_conv_pad")
    _, *front = whole.layers[: whole.layers.index(padding)]

    def preprocess(images: np.ndarray) -> Any:
        for layer in front:
            images = layer(images)
        return images

    return preprocess, keras.Model(padding.input, whole.outputs[0])
