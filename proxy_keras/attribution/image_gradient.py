"""Gradients of the score at perturbed copies of the images."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.tape_vjp import vjp
from proxy_keras.attribution.target import Score


def copy_gradients(
    network: Network, copies: tf.Tensor, score: Score
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return scores [n, B] of perturbed copies of the images and their gradients [n, B, H, W, C].

    Args:
        network: The classifier.
        copies: [n, B, H, W, C] float32, n copies of each image of the batch.
        score: Score of the batch.
    """
    images, owners = merge_copies(copies)
    scores, pull_back = vjp(lambda x: score(network.logits(x), owners), images)
    gradients = pull_back()
    return tf.reshape(scores, tf.shape(copies)[:2]), tf.reshape(gradients, tf.shape(copies))


def merge_copies(copies: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return copies [n, B, ...] as one batch [n * B, ...], and each row's image, [n * B] int32."""
    count, batch = tf.shape(copies)[0], tf.shape(copies)[1]
    shape = tf.concat([[count * batch], tf.shape(copies)[2:]], axis=0)
    merged = tf.ensure_shape(tf.reshape(copies, shape), [None, *copies.shape[2:]])
    return merged, tf.tile(tf.range(batch), [count])


def fold(
    total: int,
    per_pass: tf.Tensor,
    state: tuple[tf.Tensor, ...],
    update: Callable[..., tuple[tf.Tensor, ...]],
) -> tuple[tf.Tensor, ...]:
    """Return the state after `update` has processed the integers below `total` in chunks.

    This is a loop inside the graph, so that neither graph nor memory grow with `total`.

    Args:
        total: Number of integers, >= 1.
        per_pass: Integers per chunk, scalar int32 >= 1.
        state: Initial tensors.
        update: (indices [n] int32, *state) -> the next state, of the same shapes.
    """

    def step(start: tf.Tensor, *state: tf.Tensor) -> tuple[tf.Tensor, ...]:
        indices = tf.range(start, tf.minimum(start + per_pass, total))
        after = update(indices, *state)
        kept = [tf.ensure_shape(new, old.shape) for new, old in zip(after, state, strict=True)]
        return (start + per_pass, *kept)

    _, *result = tf.while_loop(
        lambda start, *_: start < total, step, (0, *state), parallel_iterations=1
    )
    return tuple(result)


def copies_per_pass(images: tf.Tensor, chunk_size: int) -> tf.Tensor:
    """Return how many copies of a batch are about `chunk_size` images, scalar int32 >= 1."""
    return tf.maximum(chunk_size // tf.shape(images)[0], 1)
