"""The Vision Transformer ViT-B/16 (Dosovitskiy et al. 2020), built from Keras' own layers."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from keras.initializers import RandomNormal

from proxy_keras.models import imagenet
from proxy_keras.models.flat import SMALL_IMAGE, preprocessing

_PATCH = 16
_SMALL_PATCH = 4

# The paper's networks take [-1, 1].
_MEAN = _STD = (127.5, 127.5, 127.5)


def features(image_size: int, *, pretrained: bool = False) -> keras.Model:
    """Build ViT-B up to its class token.

    Args:
        image_size: Side P of the images, a multiple of the patch size: 16 px, or 4 px for images
            below 64 px.
        pretrained: Load the weights of KerasHub's `vit_base_patch16_224_imagenet`. At sizes other
            than 224 px the position embeddings are interpolated, as in the paper's section 3.2.
    Returns:
        [B, P, P, 3] in [0, 255] to [B, 768], the class token after the last normalisation.
    Raises:
        ValueError: `image_size` is not a multiple of the patch size.
        ConnectionError: The pretrained weights are not on disk and cannot be downloaded.
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
    images = keras.Input((image_size, image_size, 3), name="images")
    tokens = encode(
        rescaling(images), patch=patch, num_blocks=12, num_heads=12, width=768, mlp_width=3072
    )
    model = keras.Model(images, tokens[:, 0])
    if pretrained:
        backbone, expects = imagenet.hub_backbone("vit_base_patch16_224_imagenet")
        copy_weights(backbone, model)
        imagenet.fold_preprocessing(model.get_layer("patch_embedding"), rescaling, expects)
    return model


def encode(
    x: keras.KerasTensor,
    *,
    patch: int,
    num_blocks: int,
    num_heads: int,
    width: int,
    mlp_width: int,
) -> keras.KerasTensor:
    """Encode images as tokens, the class token first.

    KerasHub's ViT computes the same, but a model file with its layers opens only where KerasHub is
    installed.

    Args:
        x: [B, P, P, 3], the normalised images.
        patch: Side of a patch in pixels; divides P.
        num_blocks: Number of transformer blocks.
        num_heads: Attention heads per block; divides `width`.
        width: D, the size of a token.
        mlp_width: Units in the hidden layer of each block's MLP.
    Returns:
        [B, 1 + (P / patch)**2, D], the tokens after the last normalisation.
    """
    x = layers.Conv2D(width, patch, strides=patch, name="patch_embedding")(x)
    x = layers.Reshape((-1, width), name="patches")(x)
    # The kernel of this layer is the class token: its input is 1.
    class_token = layers.Dense(
        width, use_bias=False, kernel_initializer=RandomNormal(stddev=0.05), name="class_token"
    )(ops.ones_like(x[:, :1, :1]))
    x = layers.Concatenate(axis=1, name="tokens")([class_token, x])
    # Derived from a tensor: layers called on constants are not part of a functional graph.
    positions = ops.cumsum(ops.ones_like(x[:1, :, 0], dtype="int32"), axis=1) - 1
    embeddings = layers.Embedding(
        x.shape[1], width, RandomNormal(stddev=0.02), name="position_embedding"
    )(positions)
    x = layers.Add(name="embedded_tokens")([x, embeddings])
    for number in range(1, num_blocks + 1):
        x = _block(x, num_heads, mlp_width, name=f"transformer_block_{number}")
    return layers.LayerNormalization(epsilon=1e-6, name="ln")(x)


def _block(x: keras.KerasTensor, num_heads: int, mlp_width: int, name: str) -> keras.KerasTensor:
    """Apply a transformer block with normalisation before attention and MLP."""
    width = x.shape[-1]
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_ln_1")(x)
    y = layers.MultiHeadAttention(num_heads, width // num_heads, name=f"{name}_mha")(y, y)
    x = layers.Add(name=f"{name}_add")([x, y])
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_ln_2")(x)
    for number, (units, activation) in enumerate(((mlp_width, "gelu"), (width, None)), start=1):
        y = layers.Dense(
            units,
            activation,
            bias_initializer=RandomNormal(stddev=1e-6),
            name=f"{name}_mlp_dense_{number}",
        )(y)
    return layers.Add(name=name)([x, y])


def copy_weights(backbone: keras.Model, model: keras.Model) -> None:
    """Copy the weights of KerasHub's ViT into ours, which may have another number of patches.

    Args:
        backbone: A `keras_hub.models.ViTBackbone`.
        model: A model with the tokens of `encode`. Changed in place.
    """
    # "vit_encoder/transformer_block_1/mha/query/kernel" is "transformer_block_1_mha/query/kernel"
    # here.
    values = {
        variable.path.split("/", 1)[1].replace("/", "_"): keras.ops.convert_to_numpy(variable)
        for variable in backbone.weights
    }
    values["class_token_kernel"] = values.pop("class_token")[0]
    for variable in model.weights:
        value = values[variable.path.replace("/", "_")]
        if variable.path == "position_embedding/embeddings":
            value = resize_positions(value, variable.shape[0])
        variable.assign(value)


def resize_positions(embeddings: np.ndarray, num_positions: int) -> np.ndarray:
    """Interpolate position embeddings bilinearly to another square grid.

    Args:
        embeddings: [1 + n * n, D] float32, the class token's first.
        num_positions: 1 + m * m.
    Returns:
        [1 + m * m, D] float32; the class token's row is unchanged.
    Source: Dosovitskiy et al. (2020), section 3.2.
    """
    if len(embeddings) == num_positions:
        return embeddings
    old = round((len(embeddings) - 1) ** 0.5)
    new = round((num_positions - 1) ** 0.5)
    grid = embeddings[1:].reshape(old, old, -1)
    resized = tf.image.resize(grid, (new, new), method="bilinear", antialias=True).numpy()
    return np.concatenate([embeddings[:1], resized.reshape(new * new, -1)])
