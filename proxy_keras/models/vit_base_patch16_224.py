"""The Vision Transformer ViT-B/16 (Dosovitskiy et al. 2020) from KerasHub."""

from __future__ import annotations

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from proxy_keras.models import imagenet
from proxy_keras.models.flat import SMALL_IMAGE, preprocessing

_PATCH = 16
_SMALL_PATCH = 4

# The paper's networks take [-1, 1].
_MEAN = _STD = (127.5, 127.5, 127.5)


def features(image_size: int, *, pretrained: bool = False) -> keras.Model:
    """Returns ViT-B up to its class token.

    The backbone is one nested layer of the model: KerasHub can save and load it whole only.

    Args:
        image_size: Side P of the images, a multiple of the patch: 16 px, or 4 px for images below
            64 px.
        pretrained: With the ImageNet weights of KerasHub's `vit_base_patch16_224_imagenet`. At
            sizes other than 224 px its position embeddings are interpolated, as in the paper's
            section 3.2.
    Returns:
        [B, P, P, 3] in [0, 255] to [B, 768], the class token after the last normalisation.
    Raises:
        ValueError: `image_size` is not a multiple of the patch.
        ConnectionError: The pretrained weights are neither on disk nor within reach.
    Source: Dosovitskiy et al., An Image is Worth 16x16 Words (2020).
    """
    patch = _SMALL_PATCH if image_size < SMALL_IMAGE else _PATCH
    if image_size % patch:
        raise ValueError(
            f"vit_base_patch16_224 cuts images of {image_size} px into patches of {patch} px, so"
            f" image_size must be a multiple of {patch}. Received: image_size={image_size}."
            f" Use {image_size // patch * patch} or {(image_size // patch + 1) * patch}."
        )
    rescaling = preprocessing(_MEAN, _STD)
    backbone = keras_hub.models.ViTBackbone(
        image_shape=(image_size, image_size, 3),
        patch_size=patch,
        num_layers=12,
        num_heads=12,
        hidden_dim=768,
        mlp_dim=3072,
        name="backbone",
    )
    if pretrained:
        source, expects = imagenet.hub_backbone("vit_base_patch16_224_imagenet")
        _copy_weights(source, backbone)
        embedding = backbone.get_layer("vit_patching_and_embedding")
        imagenet.fold_preprocessing(embedding.patch_embedding, rescaling, expects)
    images = keras.Input((image_size, image_size, 3), name="images")
    tokens = backbone(rescaling(images))
    return keras.Model(images, tokens[:, 0])


def _copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copies weights between ViTs that differ in their number of patches only."""
    for value, variable in zip(source.get_weights(), target.weights, strict=True):
        if variable.path.endswith("position_embedding/embeddings"):
            value = resize_positions(value, variable.shape[0])
        variable.assign(value)


def resize_positions(embeddings: np.ndarray, num_positions: int) -> np.ndarray:
    """Interpolates position embeddings bilinearly to another square grid.

    Args:
        embeddings: [1 + n * n, D] float32, the class token's first.
        num_positions: 1 + m * m.
    Returns:
        [1 + m * m, D] float32; the class token's row is as it was.
    Source: Dosovitskiy et al. (2020), section 3.2.
    """
    if len(embeddings) == num_positions:
        return embeddings
    old = round((len(embeddings) - 1) ** 0.5)
    new = round((num_positions - 1) ** 0.5)
    grid = embeddings[1:].reshape(old, old, -1)
    resized = tf.image.resize(grid, (new, new), method="bilinear", antialias=True).numpy()
    return np.concatenate([embeddings[:1], resized.reshape(new * new, -1)])
