"""Building a classifier by name: preprocessing, features, pooling, logits."""

from __future__ import annotations

import importlib
from pathlib import Path

import keras

from proxy_keras.io.keras_settings import require_channels_last
from proxy_keras.models.catalogue import HAS_IMAGENET_WEIGHTS, names
from proxy_keras.models.flat import SMALL_IMAGE
from proxy_keras.models.freezing import HEAD
from proxy_keras.models.weights_file import load_matching_weights

# Smaller images would have no pixels left after four of the networks' five halvings.
_SMALLEST_IMAGE = 16


def build_model(
    name: str,
    *,
    num_classes: int,
    image_size: int,
    weights: str | Path = "none",
    dropout: float = 0.0,
    verbose: int = 1,
) -> keras.Model:
    """Build a classifier that takes raw images and returns logits.

    The model is one flat functional graph of Keras' own layers, so a saved `.keras` file opens
    without this package: preprocessing, the network's features, global average pooling (the ViT:
    its class token), dropout, and a Dense layer named "logits", which is float32 under any dtype
    policy and has no activation. `keras.utils.set_random_seed` determines the initial weights.

    Args:
        name: One of `names()`.
        num_classes: K, at least 2.
        image_size: Side P of the square images, at least 16. Below 64 the network gets a stem that
            keeps the resolution, so that 32 px images leave feature maps of at least 4x4 cells.
        weights: "none" (random), "imagenet", or a `.weights.h5` or `.keras` file. From a file,
            each layer with the same name and shapes is loaded, and a summary is printed.
        dropout: Share of the pooled features dropped in training, in [0, 1).
        verbose: 0: do not print that summary.
    Returns:
        A model from [B, P, P, 3] float32 in [0, 255] to [B, K] float32 logits.
    Raises:
        ValueError: An argument is outside its range; the network has no ImageNet weights, or none
            for images this small; the file has no weights for this network; or Keras'
            `image_data_format` is not "channels_last".
        ConnectionError: The ImageNet weights are not on disk and cannot be downloaded.
        MissingExtra: Those of efficientnet_lite0 are not installed.
        FileNotFoundError: `weights` names a file that does not exist.
    """
    require_channels_last()
    _check(name, num_classes, image_size, weights, dropout)
    options = {"pretrained": True} if weights == "imagenet" else {}
    network = importlib.import_module(f"proxy_keras.models.{name}")
    features = network.features(image_size, **options)
    x = features.outputs[0]
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D(name="pooling")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    logits = keras.layers.Dense(num_classes, dtype="float32", name=HEAD)(x)
    model = keras.Model(features.inputs[0], logits, name=name)
    if weights not in ("none", "imagenet"):
        loaded = load_matching_weights(model, weights)
        if verbose:
            print(f"{weights}: {loaded.describe()}")
    return model


def _check(
    name: str, num_classes: int, image_size: int, weights: str | Path, dropout: float
) -> None:
    """Raise ValueError if an argument is invalid."""
    if name not in names():
        raise ValueError(f"Unknown model '{name}'. Known: {', '.join(names())}.")
    if num_classes < 2:
        raise ValueError(
            f"A classifier needs at least two classes. Received: num_classes={num_classes}."
        )
    if image_size < _SMALLEST_IMAGE:
        raise ValueError(
            f"Images must be at least {_SMALLEST_IMAGE} px on each side. Received:"
            f" image_size={image_size}. Pass a larger image_size to the model and to the data."
        )
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"`dropout` must be in [0, 1). Received: dropout={dropout}.")
    if weights == "imagenet":
        if not HAS_IMAGENET_WEIGHTS[name]:
            raise ValueError(
                f"There are no ImageNet weights for {name}. Use weights='none' or another model."
            )
        if image_size < SMALL_IMAGE:
            raise ValueError(
                f"ImageNet weights do not fit images below {SMALL_IMAGE} px: the stem for small"
                f" images has different kernels and strides. Received: image_size={image_size}. Use"
                f" image_size={SMALL_IMAGE} or more, or weights='none'."
            )
