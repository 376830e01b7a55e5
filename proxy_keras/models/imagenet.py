"""Fetches ImageNet weights, and adapts them to the preprocessing that our models have."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np

from proxy_keras.io.reachability import require_reachable

# How far, in standard deviations, the means of two preprocessings may lie apart and still be called
# the same.
_MEAN_TOLERANCE = 1e-3

# What is needed of a KerasHub preset.
_PRESET_FILES = ("config.json", "image_converter.json", "model.weights.h5")


def applications_backbone(
    builder: Callable[..., keras.Model],
    file_name: str,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
) -> keras.Model:
    """Returns a keras.applications model without its top, with its ImageNet weights.

    Args:
        builder: Such as `keras.applications.VGG16`.
        file_name: The file of weights, as keras.applications calls it. Where Keras has it on disk,
            no network is asked.
        input_shape: As the builder takes it.
    Raises:
        ConnectionError: The file is not on disk and its host is out of reach.
    """
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    file = home / "models" / file_name
    if not file.is_file():
        name = builder.__name__
        require_reachable(
            "storage.googleapis.com",
            what=f"The ImageNet weights of {name}",
            remedy=(
                "On a machine with a network run\n"
                f'  python -c "import keras; keras.applications.{name}(include_top=False)"\n'
                f"and copy its ~/.keras/models/{file_name} to {file}. Or train with weights='none'."
            ),
        )
    return builder(weights="imagenet", include_top=False, input_shape=input_shape)


def hub_backbone(preset: str) -> tuple[keras.Model, Callable[[np.ndarray], Any]]:
    """Returns a KerasHub backbone with the weights of a preset, and the preprocessing these expect.

    Args:
        preset: A name in KerasHub's list. Where KerasHub has it on disk, no network is asked.
    Raises:
        ConnectionError: The preset is not on disk and its host is out of reach.
    """
    handle = keras_hub.models.Backbone.presets[preset]["kaggle_handle"].removeprefix("kaggle://")
    cache = Path(os.environ.get("KAGGLEHUB_CACHE", Path.home() / ".cache" / "kagglehub"))
    folder = cache / "models" / handle
    # Given the folder instead of the preset's name, KerasHub never asks the network.
    place = str(folder)
    if not all((folder / file).is_file() for file in _PRESET_FILES):
        require_reachable(
            "www.kaggle.com",
            what=f"The ImageNet weights of KerasHub's preset {preset}",
            remedy=(
                "On a machine with a network run\n"
                '  python -c "import keras_hub; '
                f"keras_hub.models.ImageClassifier.from_preset('{preset}')\"\n"
                f"and copy its folder ~/.cache/kagglehub/models/{handle} to {folder}."
                " Or train with weights='none'."
            ),
        )
        place = preset
    backbone = keras_hub.models.Backbone.from_preset(place)
    return backbone, keras_hub.layers.ImageConverter.from_preset(place)


def fold_preprocessing(
    conv: keras.layers.Conv2D,
    rescaling: keras.layers.Rescaling,
    expects: Callable[[np.ndarray], Any],
) -> None:
    """Changes the first convolution so that it answers our images as it did its training images.

    The expected preprocessing is measured on black, red, green and blue images. It may scale
    channels and exchange them (the "caffe" weights want BGR); our graph stays RGB and the kernel
    takes it on.

    Args:
        conv: The first convolution, with the weights as loaded. Its kernel is changed in place.
        rescaling: What our model has in front of it.
        expects: [B, H, W, 3] float32 RGB in [0, 255] to what the weights were trained on.
    Raises:
        ValueError: The means differ: a kernel cannot take that on where images are padded with
            zeros.
    """
    colours = np.concatenate([np.zeros((1, 3)), 255.0 * np.eye(3)]).astype(np.float32)
    images = np.broadcast_to(colours[:, None, None, :], (4, 32, 32, 3))
    # `preprocess_input` writes into its argument.
    theirs = np.asarray(expects(images.copy()), np.float64)[:, 16, 16]
    ours = np.asarray(rescaling(images), np.float64)[:, 16, 16]
    # Both are affine: value(colour) = value(black) + colour @ slope.
    their_slope, our_slope = (theirs[1:] - theirs[0]) / 255.0, (ours[1:] - ours[0]) / 255.0
    change = np.linalg.solve(our_slope, their_slope)
    apart = theirs[0] - ours[0] @ change
    if np.abs(apart).max() > _MEAN_TOLERANCE * np.abs(change).max():
        raise ValueError(
            "The pretrained weights expect images with another mean than this model's preprocessing"
            f" subtracts: black is {theirs[0].round(4)} for them, and"
            f" {(ours[0] @ change).round(4)} here. Use the versions in constraints.txt, or"
            " weights='none'."
        )
    kernel = np.einsum("hwjo,cj->hwco", keras.ops.convert_to_numpy(conv.kernel), change)
    conv.kernel.assign(kernel.astype(np.float32))
