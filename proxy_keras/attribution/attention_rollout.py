"""Attention rollout."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.attention_record import recorded_attention
from proxy_keras.attribution.method import Method, MethodOutput
from proxy_keras.attribution.method_options import AttentionRolloutOptions
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target

_FUSIONS = {"mean": tf.reduce_mean, "max": tf.reduce_max}

# Patches that differ by less count as equal, lest rounding should become a picture.
_ROUNDING = 1e-5


class AttentionRollout(AttentionRolloutOptions, Method):
    """How much each patch reaches the class token, if attention alone moved information.

    Each block mixes its tokens by the mean of its attention's heads and, for the residual
    connection, the identity, in equal parts; the product over all blocks says what each final token
    is made of. The map is the row of the class token; where there is none, the mean of all rows.
    The explained class makes no difference.

    Options: see `AttentionRolloutOptions`.

    Raises:
        ValueError: At the first call: the network is not a transformer whose
            `keras.layers.MultiHeadAttention` attends from all tokens to all.

    Source: Abnar and Zuidema, Quantifying Attention Flow in Transformers (ACL 2020).
    """

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Logits and raw heatmaps; see `Method`."""
        with recorded_attention(network.flat) as record:
            logits = network.logits(images)
        rows, columns = network.features.outputs[0].shape[1:3]
        tokens = _check(record, rows * columns)
        prefix = tokens - rows * columns
        count = tf.shape(images)[0]
        row = tf.one_hot([0], tokens) if prefix else tf.fill([1, tokens], 1.0 / tokens)
        # One row times the matrices, from the last to the first, is all of the product we need.
        row = tf.tile(row[tf.newaxis], [count, 1, 1])
        for weights in reversed(record):
            tf.debugging.assert_equal(
                tf.shape(weights)[0], count, "Attention within windows cannot be rolled out."
            )
            mixing = _FUSIONS[self.head_fusion](weights, axis=1) + tf.eye(tokens)
            mixing /= tf.reduce_sum(mixing, axis=-1, keepdims=True)
            row = tf.matmul(row, mixing)
        patches = row[:, 0, prefix:]
        high = tf.reduce_max(patches, axis=-1, keepdims=True)
        is_flat = high - tf.reduce_min(patches, axis=-1, keepdims=True) < _ROUNDING * high
        patches = tf.where(is_flat, 0.0, patches)
        return logits, tf.reshape(patches, [count, rows, columns])


def _check(record: list[tf.Tensor], cells: int) -> int:
    """T, the number of tokens that attend to each other in every block."""
    shapes = [None if weights is None else tuple(weights.shape[2:]) for weights in record]
    tokens = shapes[0][0] if shapes and shapes[0] else None
    if tokens is None or tokens < cells or any(shape != (tokens, tokens) for shape in shapes):
        found = f"attention weights {shapes}" if shapes else "no such layer"
        raise ValueError(
            "Attention rollout needs a transformer whose keras.layers.MultiHeadAttention layers "
            f"attend from all {cells} patches to all, [T, T]. Found: {found}. Explain this model "
            "by another method, e.g. grad_cam."
        )
    return tokens
