"""Attention rollout."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.attention_record import recorded_attention
from proxy_keras.attribution.method import Method, MethodOutput
from proxy_keras.attribution.method_options import AttentionRolloutOptions
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target

_FUSIONS = {"mean": tf.reduce_mean, "max": tf.reduce_max}

# Patches with a smaller relative difference count as equal, so that rounding is not shown.
_ROUNDING = 1e-5


class AttentionRollout(AttentionRolloutOptions, Method):
    """Share of each patch in the class token, assuming that only attention moves information.

    Each block is modelled by equal parts of the mean attention over heads and, for the residual
    connection, the identity. The product over all blocks gives the share of each patch in each
    final token. The map is the row of the class token or, without one, the mean of all rows. It
    does not depend on the explained class.

    Raises:
        ValueError: At the first call: the network is not a transformer whose
            `keras.layers.MultiHeadAttention` attends from all tokens to all.

    Source: Abnar and Zuidema, Quantifying Attention Flow in Transformers (ACL 2020).
    """

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        with recorded_attention(network.flat) as record:
            logits = network.logits(images)
        rows, columns = network.features.outputs[0].shape[1:3]
        tokens = _check(record, rows * columns)
        prefix = tokens - rows * columns
        count = tf.shape(images)[0]
        row = tf.one_hot([0], tokens) if prefix else tf.fill([1, tokens], 1.0 / tokens)
        # Only one row of the product is needed: it is multiplied from the last matrix to the first.
        row = tf.tile(row[tf.newaxis], [count, 1, 1])
        for weights in reversed(record):
            is_global = tf.debugging.assert_equal(
                tf.shape(weights)[0],
                count,
                "Attention rollout does not support attention within windows.",
            )
            # Otherwise a reshape further down may fail first, with a message about shapes.
            with tf.control_dependencies([is_global]):
                mixing = _FUSIONS[self.head_fusion](weights, axis=1) + tf.eye(tokens)
            mixing /= tf.reduce_sum(mixing, axis=-1, keepdims=True)
            row = tf.matmul(row, mixing)
        patches = row[:, 0, prefix:]
        high = tf.reduce_max(patches, axis=-1, keepdims=True)
        is_flat = high - tf.reduce_min(patches, axis=-1, keepdims=True) < _ROUNDING * high
        patches = tf.where(is_flat, 0.0, patches)
        return logits, tf.reshape(patches, [count, rows, columns])


def _check(record: list[tf.Tensor], cells: int) -> int:
    """Return T, the number of tokens that attend to each other in every block."""
    shapes = [None if weights is None else tuple(weights.shape[2:]) for weights in record]
    tokens = shapes[0][0] if shapes and shapes[0] else None
    if tokens is None or tokens < cells or any(shape != (tokens, tokens) for shape in shapes):
        found = f"attention weights {shapes}" if shapes else "no such layer"
        raise ValueError(
            "Attention rollout needs a transformer whose keras.layers.MultiHeadAttention layers "
            f"attend from all {cells} patches to all, [T, T]. Found: {found}. Use another method "
            "for this model, e.g. grad_cam."
        )
    return tokens
