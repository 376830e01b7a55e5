"""DeepFool: the smallest change of the image that gives it another class."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.method import Method, MethodOutput
from proxy_keras.attribution.method_options import DeepFoolOptions
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target

# Moves a point over the boundary that it would else land on, as in the authors' code.
_BOUNDARY_MARGIN = 1e-4


class DeepFool(DeepFoolOptions, Method):
    """Where, and how strongly, the image changes when it is pushed over the nearest boundary.

    The score to explain plays no part: it is always the predicted class that the image is to
    lose. Values are not held within the range of images, as in the paper.

    Options: see `DeepFoolOptions`.

    Source: Moosavi-Dezfooli et al., DeepFool: a simple and accurate method to fool deep neural
    networks (CVPR 2016).
    """

    has_image_size = True
    needs_layer = False

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Logits and raw heatmaps [B, H, W], the change's length per pixel; see `Method`."""
        logits, changes = self.perturb(network, images)
        scale = tf.reduce_max(tf.abs(changes), axis=[1, 2, 3], keepdims=True)
        changes = tf.math.divide_no_nan(changes, scale)
        return logits, tf.norm(changes, axis=-1)

    def perturb(self, network: Network, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits [B, K] and changes [B, H, W, C]: `images + changes` is of another class.

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
            # What has flipped, and what no push can move, is done with.
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
    """The steps [n, H, W, C] to the nearest boundary of a network taken as linear.

    Args:
        network: The classifier.
        images: [n, H, W, C] float32, where the images have come to.
        ids: [n, m] int32, the class to lose and the candidates.

    Returns:
        Zeros for images that have lost their class already.
    """
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(images)
        logits = network.logits(images)
        chosen = tf.gather(logits, ids, batch_dims=1)
        margins = chosen[:, 1:] - chosen[:, :1]
    is_flipped = tf.argmax(logits, axis=1, output_type=tf.int32) != ids[:, 0]
    # Row by row, as the vectorised form would hold the activations of all classes at once.
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
    # No boundary lies in the direction of a gradient of zero.
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
