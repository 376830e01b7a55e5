"""Loading ImageNet weights and adapting them to the preprocessing of our models."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from proxy_keras.io.extras import extra
from proxy_keras.io.reachability import require_reachable
from proxy_keras.models.flat import flat_features

# Largest difference between the means of two preprocessings, in standard deviations.
_MEAN_TOLERANCE = 1e-3

# The files of a KerasHub preset that we need.
_PRESET_FILES = ("config.json", "image_converter.json", "model.weights.h5")


def applications_backbone(
    builder: Callable[..., keras.Model],
    file_name: str,
    input_shape: tuple[int | None, int | None, int] = (None, None, 3),
) -> keras.Model:
    """Return a keras.applications model without its top, with its ImageNet weights.

    Args:
        builder: For example `keras.applications.VGG16`.
        file_name: Name of the weights file in keras.applications. If it is in Keras' cache, the
            network is not used.
        input_shape: Passed to the builder.
    Raises:
        ConnectionError: The file is not on disk and its host cannot be reached.
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
    """Return a KerasHub backbone with the weights of a preset, and the preprocessing they expect.

    Args:
        preset: Name of a KerasHub preset. If it is in the cache, the network is not used.
    Raises:
        ConnectionError: The preset is not on disk and its host cannot be reached.
    """
    # Takes seconds to import, and few networks need it.
    with extra("train"):
        import keras_hub

    handle = keras_hub.models.Backbone.presets[preset]["kaggle_handle"].removeprefix("kaggle://")
    cache = Path(os.environ.get("KAGGLEHUB_CACHE", Path.home() / ".cache" / "kagglehub"))
    folder = cache / "models" / handle
    # Given the folder instead of the preset's name, KerasHub does not use the network.
    location = str(folder)
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
        location = preset
    backbone = keras_hub.models.Backbone.from_preset(location)
    return backbone, keras_hub.layers.ImageConverter.from_preset(location)


def pretrained_features(
    backbone: keras.Model,
    image_size: int,
    rescaling: keras.layers.Rescaling,
    first_conv: str,
    expects: Callable[[np.ndarray], Any],
) -> keras.Model:
    """Build `flat_features` with the backbone's weights, adapted to our preprocessing.

    Args:
        backbone, image_size, rescaling: See `flat_features`.
        first_conv: Name of the first convolution.
        expects: See `fold_preprocessing`.
    """
    model = flat_features(backbone, image_size, rescaling)
    model.set_weights(backbone.get_weights())
    fold_preprocessing(model.get_layer(first_conv), rescaling, expects)
    return model


def fold_preprocessing(
    conv: keras.layers.Conv2D,
    rescaling: keras.layers.Rescaling,
    expects: Callable[[np.ndarray], Any],
) -> None:
    """Fold the preprocessing that pretrained weights expect into the first convolution.

    The expected preprocessing is measured on black, red, green and blue images. It may scale and
    permute channels (the "caffe" weights expect BGR); our graph stays RGB and the kernel is
    changed instead.

    Args:
        conv: The first convolution, with the weights as loaded. Its kernel is changed in place.
        rescaling: The preprocessing layer of our model.
        expects: Maps [B, H, W, 3] float32 RGB in [0, 255] to the images the weights were trained
            on.
    Raises:
        ValueError: The means differ, which a kernel cannot compensate for in zero padding.
    """
    colours = np.concatenate([np.zeros((1, 3)), 255.0 * np.eye(3)]).astype(np.float32)
    images = np.broadcast_to(colours[:, None, None, :], (4, 32, 32, 3))
    # `preprocess_input` modifies its argument.
    theirs = np.asarray(expects(images.copy()), np.float64)[:, 16, 16]
    ours = np.asarray(rescaling(images), np.float64)[:, 16, 16]
    # Both are affine: value(colour) = value(black) + colour @ slope.
    their_slope, our_slope = (theirs[1:] - theirs[0]) / 255.0, (ours[1:] - ours[0]) / 255.0
    change = np.linalg.solve(our_slope, their_slope)
    difference = theirs[0] - ours[0] @ change
    if np.abs(difference).max() > _MEAN_TOLERANCE * np.abs(change).max():
        raise ValueError(
            "The pretrained weights expect another mean than this model's preprocessing subtracts:"
            f" black is {theirs[0].round(4)} for them, and {(ours[0] @ change).round(4)} here. Use"
            " the versions in constraints.txt, or weights='none'."
        )
    kernel = np.einsum("hwjo,cj->hwco", keras.ops.convert_to_numpy(conv.kernel), change)
    conv.kernel.assign(kernel.astype(np.float32))
