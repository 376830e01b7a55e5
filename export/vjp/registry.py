"""The VJP rules by layer class and by operation."""

from __future__ import annotations

import keras
from keras import layers

from export.vjp import convolution, linear, normalization, pooling, shapes
from export.vjp.activations import ACTIVATION_LAYERS, ACTIVATION_OPERATIONS, activation
from export.vjp.applications import APPLICATION_LAYERS
from export.vjp.arithmetic import ARITHMETIC_LAYERS, ARITHMETIC_OPERATIONS
from export.vjp.attention import multi_head_attention
from export.vjp.reduction import REDUCTION_LAYERS, REDUCTION_OPERATIONS
from export.vjp.rule import Rule
from proxy_keras.graph import original_of

# By exact class, because a subclass may compute anything.
_LAYERS: dict[type[keras.Operation], Rule] = {
    layers.Dense: linear.dense,
    layers.EinsumDense: linear.einsum_dense,
    layers.Conv2D: convolution.conv,
    layers.DepthwiseConv2D: convolution.depthwise_conv,
    layers.SeparableConv2D: convolution.separable_conv,
    layers.BatchNormalization: normalization.batch_normalization,
    layers.LayerNormalization: normalization.layer_normalization,
    layers.Rescaling: normalization.rescaling,
    layers.MultiHeadAttention: multi_head_attention,
    layers.AveragePooling2D: pooling.average_pool,
    layers.MaxPooling2D: pooling.max_pool,
    layers.AdaptiveAveragePooling2D: pooling.adaptive_average_pool,
    layers.AdaptiveMaxPooling2D: pooling.adaptive_max_pool,
    layers.Activation: activation,
    layers.Flatten: shapes.reshape,
    layers.Reshape: shapes.reshape,
    layers.Permute: shapes.permute,
    layers.ZeroPadding2D: shapes.zero_padding,
    layers.Cropping1D: shapes.cropping,
    layers.Cropping2D: shapes.cropping,
    layers.Identity: shapes.identity,
    layers.Dropout: shapes.identity,
    layers.SpatialDropout1D: shapes.identity,
    layers.SpatialDropout2D: shapes.identity,
    layers.AlphaDropout: shapes.identity,
    layers.GaussianDropout: shapes.identity,
    layers.GaussianNoise: shapes.identity,
    layers.ActivityRegularization: shapes.identity,
    **ACTIVATION_LAYERS,
    **APPLICATION_LAYERS,
    **ARITHMETIC_LAYERS,
    **REDUCTION_LAYERS,
}

# By name, because Keras does not export the classes of its operations.
_OPERATIONS: dict[str, Rule] = {
    "Matmul": linear.matmul,
    "Einsum": linear.einsum,
    "AveragePool": pooling.average_pool,
    "MaxPool": pooling.max_pool,
    "Reshape": shapes.reshape,
    "Squeeze": shapes.reshape,
    "ExpandDims": shapes.reshape,
    "Transpose": shapes.transpose,
    "Swapaxes": shapes.swap_axes,
    "GetItem": shapes.get_item,
    "Cast": shapes.cast,
    "StopGradient": shapes.stop_gradient,
    **ACTIVATION_OPERATIONS,
    **ARITHMETIC_OPERATIONS,
    **REDUCTION_OPERATIONS,
}


def rule_of(operation: keras.Operation) -> Rule | None:
    """Return the rule of a layer or operation of a flat clone, or None."""
    if isinstance(operation, keras.layers.Layer):
        return _LAYERS.get(type(operation))
    original = original_of(operation)
    is_keras_own = type(original).__module__.startswith("keras.")
    return _OPERATIONS.get(type(original).__name__) if is_keras_own else None


def known_kinds() -> tuple[list[str], list[str]]:
    """Return the names of the layer classes, and of the operations, that have a rule."""
    return sorted(kind.__name__ for kind in _LAYERS), sorted(_OPERATIONS)
