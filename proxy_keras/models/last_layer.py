"""The last layer of a classifier: its inputs, and other weights for it."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.models.cut import last_cut


def last_dense(model: keras.Model) -> keras.layers.Dense:
    """Return the last layer of a classifier, which maps features [B, D] to logits [B, K].

    Raises:
        ValueError: The last layer with weights is another one, or the network cannot be cut there.
    """
    cut = last_cut(model)
    cut.check()
    layer = cut.layer
    if not (
        isinstance(layer, keras.layers.Dense)
        and layer.activation is keras.activations.linear
        and layer.use_bias
        and len(cut.tensor.shape) == 2
    ):
        raise ValueError(
            "The last layer can be refitted if it is a Dense layer with a bias on features [B, D]. "
            f"Received: '{layer.name}', a {type(layer).__name__} of inputs {cut.tensor.shape}."
        )
    return layer


def set_last_layer(
    model: keras.Model, kernel: NDArray[np.floating], bias: NDArray[np.floating]
) -> None:
    """Give the last layer of a classifier other weights.

    Args:
        model: The classifier. Changed in place.
        kernel: [D, K].
        bias: [K].

    Raises:
        ValueError: See `last_dense`.
    """
    layer = last_dense(model)
    layer.kernel.assign(kernel)
    layer.bias.assign(bias)
