"""First principal component of feature maps."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.method import unit_scale


def first_component(maps: tf.Tensor, toward: tf.Tensor) -> tf.Tensor:
    """Return projections on the first right singular vector of each image's [h * w, D] matrix.

    The matrix is not centred, as in the paper. Its singular vector is the eigenvector of the
    smaller of its two Gram matrices, computed in float64 since their entries are squares.

    Args:
        maps: [B, h, w, D] float32.
        toward: [B, h, w] float32. The sign of a singular vector is arbitrary; it is chosen to
            correlate with this.

    Returns:
        [B, h, w] float32; zeros for all-zero maps. The scale is arbitrary.
    """
    maps, _ = unit_scale(maps)
    shape = tf.shape(maps)
    cells = None if None in maps.shape[1:3] else maps.shape[1] * maps.shape[2]
    matrix = tf.reshape(tf.cast(maps, tf.float64), [shape[0], -1, maps.shape[-1]])
    if cells is not None and cells <= maps.shape[-1]:
        _, vectors = tf.linalg.eigh(tf.matmul(matrix, matrix, transpose_b=True))
        direction = tf.einsum("bnd,bn->bd", matrix, vectors[..., -1])
    else:
        _, vectors = tf.linalg.eigh(tf.matmul(matrix, matrix, transpose_a=True))
        direction = vectors[..., -1]
    direction = tf.cast(direction, tf.float32)
    # Cell by cell, so that cells with equal activations get equal values to the last bit.
    values = tf.reduce_sum(maps * direction[:, tf.newaxis, tf.newaxis], axis=-1)
    agreement = tf.reduce_sum(values * toward, axis=[1, 2], keepdims=True)
    return tf.where(agreement < 0, -values, values)
