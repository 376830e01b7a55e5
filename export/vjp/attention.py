"""Rule of multi-head attention in inference, without masks."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from keras import layers

from export.vjp.rule import Pullback


def multi_head_attention(
    layer: layers.MultiHeadAttention,
    query: tf.Tensor,
    value: tf.Tensor,
    key: tf.Tensor | None = None,
) -> tuple[tf.Tensor, Pullback]:
    """Rule of scaled dot-product attention over tokens, [B, T, D] each.

    Uses matrix products of heads [B, heads, T, d], because ONNX runtimes have kernels for these
    and tf2onnx decomposes Einstein sums.

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.
    """
    _check(layer, query)
    queries, through_queries = _heads_of(layer.query_dense, query)
    keys, through_keys = _heads_of(layer.key_dense, value if key is None else key)
    values, through_values = _heads_of(layer.value_dense, value)
    scale = layer.key_dim**-0.5
    weights = tf.nn.softmax(tf.matmul(queries, keys, transpose_b=True) * scale)
    output, through_output = _joined(layer.output_dense, tf.matmul(weights, values))

    def pullback(gradient: tf.Tensor) -> tuple[tf.Tensor, ...]:
        mixed = through_output(gradient)
        to_weights = tf.matmul(mixed, values, transpose_b=True)
        shared = tf.reduce_sum(to_weights * weights, axis=-1, keepdims=True)
        to_scores = weights * (to_weights - shared) * scale
        to_query = through_queries(tf.matmul(to_scores, keys))
        to_key = through_keys(tf.matmul(to_scores, queries, transpose_a=True))
        to_value = through_values(tf.matmul(weights, mixed, transpose_a=True))
        if key is None:
            return to_query, to_value + to_key
        return to_query, to_value, to_key

    return output, pullback


def _check(layer: layers.MultiHeadAttention, query: tf.Tensor) -> None:
    config = layer.get_config()
    if len(query.shape) != 3:
        raise NotImplementedError(
            f"its input has {len(query.shape)} axes; only tokens [B, T, D] are supported"
        )
    if config["use_gate"]:
        raise NotImplementedError("it gates its output (use_gate=True)")
    if config["sliding_window"] is not None:
        raise NotImplementedError("a mask is given (sliding_window)")
    if len(layer.output_dense.kernel.shape) != 3:
        raise NotImplementedError(
            f"its output_shape is {config['output_shape']}; only one size is supported"
        )


def _heads_of(
    layer: layers.EinsumDense, x: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Project tokens [B, T, D] to heads [B, heads, T, d], and return the pullback too."""
    depth, heads, size = layer.kernel.shape
    kernel = tf.reshape(layer.kernel, [depth, heads * size])
    tokens = x.shape[1]
    product = tf.matmul(x, kernel)
    if layer.bias is not None:
        product = product + tf.reshape(layer.bias, [-1])
    split = tf.transpose(tf.reshape(product, [-1, tokens, heads, size]), [0, 2, 1, 3])

    def back(gradient: tf.Tensor) -> tf.Tensor:
        joined = tf.reshape(tf.transpose(gradient, [0, 2, 1, 3]), [-1, tokens, heads * size])
        return tf.matmul(joined, kernel, transpose_b=True)

    return split, back


def _joined(
    layer: layers.EinsumDense, x: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Project heads [B, heads, T, d] to tokens [B, T, K], and return the pullback too."""
    heads, size, depth = layer.kernel.shape
    kernel = tf.reshape(layer.kernel, [heads * size, depth])
    tokens = x.shape[2]
    product = tf.matmul(
        tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [-1, tokens, heads * size]), kernel
    )
    if layer.bias is not None:
        product = product + tf.convert_to_tensor(layer.bias)

    def back(gradient: tf.Tensor) -> tf.Tensor:
        apart = tf.reshape(tf.matmul(gradient, kernel, transpose_b=True), [-1, tokens, heads, size])
        return tf.transpose(apart, [0, 2, 1, 3])

    return product, back
