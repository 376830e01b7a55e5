"""DeepFool: the smallest change of the image that flips its class."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.method import Method, MethodOutput
from proxy_keras.attribution.method_options import DeepFoolOptions
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target

# Moves a point across the boundary instead of onto it, as in the authors' code.
_BOUNDARY_MARGIN = 1e-4


class DeepFool(DeepFoolOptions, Method):
    """Magnitude per pixel of the change that moves the image across the nearest boundary.

    The score to explain is ignored: the change always flips the predicted class. Values are not
    clipped to the range of images, as in the paper.

    Source: Moosavi-Dezfooli et al., DeepFool: a simple and accurate method to fool deep neural
    networks (CVPR 2016).
    """

    has_image_size = True
    needs_image_gradient = True
    needs_layer = False

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and raw heatmaps [B, H, W], the norm of the change; see `Method`."""
        logits, changes = self.perturb(network, images)
        scale = tf.reduce_max(tf.abs(changes), axis=[1, 2, 3], keepdims=True)
        changes = tf.math.divide_no_nan(changes, scale)
        return logits, tf.norm(changes, axis=-1)

    def perturb(self, network: Network, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return logits [B, K] and changes [B, H, W, C]: `images + changes` has another class.

        Args:
            network: The classifier.
            images: [B, H, W, C] float32.
        """
        logits = network.logits(images)
        # The class itself and the candidates, best first: [B, n + 1].
        count = min(self.classes + 1, int(logits.shape[1]))
        order = tf.math.top_k(logits, count).indices

        def is_left(step: tf.Tensor, changes: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
            return tf.logical_and(step < self.max_steps, tf.size(left) > 0)

        def push(
            step: tf.Tensor, changes: tf.Tensor, left: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            ids = tf.gather(order, left)
            start = tf.gather(images, left)
            at = start + (1.0 + self.overshoot) * tf.gather(changes, left)
            pushes = _to_nearest_boundary(network, at, ids)
            changes = tf.tensor_scatter_nd_add(changes, left[:, tf.newaxis], pushes)
            # Images that have flipped, or whose gradient is zero, are finished.
            return step + 1, changes, left[tf.reduce_any(pushes != 0.0, axis=[1, 2, 3])]

        _, changes, _ = tf.while_loop(
            is_left,
            push,
            (0, tf.zeros_like(images), tf.range(tf.shape(images)[0])),
            shape_invariants=(tf.TensorShape([]), images.shape, tf.TensorShape([None])),
            parallel_iterations=1,
        )
        return logits, (1.0 + self.overshoot) * changes


def _to_nearest_boundary(network: Network, images: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """Return the steps to the nearest boundary of the linearised network.

    Args:
        network: The classifier.
        images: [n, H, W, C] float32, the images changed so far.
        ids: [n, m] int32, the original class and the candidates.

    Returns:
        [n, H, W, C] float32; zeros for images that have flipped already.
    """
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(images)
        logits = network.logits(images)
        chosen = tf.gather(logits, ids, batch_dims=1)
        margins = chosen[:, 1:] - chosen[:, :1]
    is_flipped = tf.argmax(logits, axis=1, output_type=tf.int32) != ids[:, 0]
    # Row by row, because the vectorised form holds the activations of all classes at once.
    normals = tape.batch_jacobian(
        margins,
        images,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
        parallel_iterations=1,
        experimental_use_pfor=False,
    )
    scales = tf.reduce_max(tf.abs(normals), axis=[2, 3, 4], keepdims=True)
    normals = tf.math.divide_no_nan(normals, scales)
    lengths = tf.sqrt(tf.reduce_sum(tf.square(normals), axis=[2, 3, 4]))
    # A gradient of zero leads to no boundary.
    distances = tf.where(
        lengths > 0.0,
        tf.math.divide_no_nan(
            tf.math.divide_no_nan(tf.abs(margins), scales[..., 0, 0, 0]), lengths
        ),
        tf.fill(tf.shape(lengths), float("inf")),
    )
    nearest = tf.argmin(distances, axis=1, output_type=tf.int32)

    def pick(values: tf.Tensor) -> tf.Tensor:
        return tf.gather(values, nearest, batch_dims=1)

    gap = tf.math.divide_no_nan(tf.abs(pick(margins)) + _BOUNDARY_MARGIN, pick(scales)[:, 0, 0, 0])
    size = tf.math.divide_no_nan(gap, tf.square(pick(lengths)))
    steps = size[:, tf.newaxis, tf.newaxis, tf.newaxis] * pick(normals)
    return tf.where(is_flipped[:, tf.newaxis, tf.newaxis, tf.newaxis], 0.0, steps)
