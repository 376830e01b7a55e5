"""Search for a linear head: global average pooling, then one dense layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.graph import FlatClone, inputs_of, operation_of

# Identities in inference.
_PASSING_LAYERS = (
    keras.layers.Identity,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.ActivityRegularization,
)
_PASSING_OPERATIONS = ("Identity", "Cast", "StopGradient")
_RESHAPING_LAYERS = (keras.layers.Flatten, keras.layers.Reshape)
_RESHAPING_OPERATIONS = ("Reshape", "Squeeze")
_POOLING_LAYERS = (keras.layers.AveragePooling2D, keras.layers.AdaptiveAveragePooling2D)


@dataclass(frozen=True)
class LinearHead:
    """The dense layer that maps the target layer's mean over cells to logits.

    Attributes:
        layer: `Dense`, or `Conv2D` with a 1x1 kernel, of the flat clone.
    """

    layer: keras.layers.Layer

    @property
    def kernel(self) -> tf.Tensor:
        """The layer's current weights, [D, K] float32."""
        kernel = tf.convert_to_tensor(self.layer.kernel)
        return tf.reshape(kernel, [-1, kernel.shape[-1]])

    @property
    def bias(self) -> tf.Tensor:
        """The layer's current bias, [K] float32; zeros if it has none."""
        if self.layer.bias is None:
            return tf.zeros([self.kernel.shape[-1]])
        return tf.convert_to_tensor(self.layer.bias)


def find_linear_head(flat: FlatClone, target: keras.KerasTensor) -> LinearHead | None:
    """Return the linear head if the logits are a dense layer of the mean over cells of `target`.

    Between `target`, global average pooling, the dense layer and the logits, only dropout,
    identities and reshapes of a single cell may occur, and no other branch.

    Args:
        flat: The classifier. Not modified.
        target: The target layer's output [B, h, w, D], a tensor of `flat`.

    Returns:
        The linear head, or None for another kind of head.
    """
    dense = _skip_identities(flat.output, stop=target)
    layer = operation_of(dense)
    if not _is_linear_map(layer, dense):
        return None
    pooled = _skip_identities(inputs_of(dense)[0], stop=target)
    if not _is_mean_over_cells(operation_of(pooled), pooled):
        return None
    if _skip_identities(inputs_of(pooled)[0], stop=target) is not target:
        return None
    return LinearHead(layer)


def _skip_identities(tensor: keras.KerasTensor, stop: keras.KerasTensor) -> keras.KerasTensor:
    """Return the tensor before trailing identity operations, but not before `stop`."""
    while tensor is not stop and _is_identity(operation_of(tensor), tensor):
        tensor = inputs_of(tensor)[0]
    return tensor


def _is_identity(operation: keras.Operation, tensor: keras.KerasTensor) -> bool:
    name = type(operation).__name__
    if isinstance(operation, keras.layers.Activation):
        return operation.activation is keras.activations.linear
    if isinstance(operation, _RESHAPING_LAYERS) or name in _RESHAPING_OPERATIONS:
        # With a single cell, a reshape can only drop or add axes of length 1.
        return _has_one_cell(inputs_of(tensor)[0]) and _has_one_cell(tensor)
    return isinstance(operation, _PASSING_LAYERS) or name in _PASSING_OPERATIONS


def _has_one_cell(tensor: keras.KerasTensor) -> bool:
    """Return whether all axes but the batch and one other have length 1."""
    return sum(size != 1 for size in tensor.shape[1:]) == 1


def _is_linear_map(layer: Any, output: keras.KerasTensor) -> bool:
    is_dense = isinstance(layer, keras.layers.Dense)
    is_pointwise = (
        isinstance(layer, keras.layers.Conv2D)
        and layer.kernel_size == (1, 1)
        and layer.groups == 1
        and _is_single(inputs_of(output)[0])
    )
    return (is_dense or is_pointwise) and layer.activation is keras.activations.linear


def _is_mean_over_cells(operation: Any, output: keras.KerasTensor) -> bool:
    if not inputs_of(output):
        return False
    cells = inputs_of(output)[0]
    if len(cells.shape) != 4:
        return False
    if isinstance(operation, keras.layers.GlobalAveragePooling2D):
        return operation.data_format == "channels_last"
    if isinstance(operation, _POOLING_LAYERS):
        # A single window must cover all cells.
        window = getattr(operation, "pool_size", cells.shape[1:3])
        is_last = operation.data_format == "channels_last"
        return is_last and _is_single(output) and tuple(window) == tuple(cells.shape[1:3])
    if type(operation).__name__ == "Mean":
        axes = operation.axis if isinstance(operation.axis, (list, tuple)) else [operation.axis]
        return sorted(axis % 4 for axis in axes if axis is not None) == [1, 2]
    return False


def _is_single(tensor: keras.KerasTensor) -> bool:
    return len(tensor.shape) == 4 and tuple(tensor.shape[1:3]) == (1, 1)
