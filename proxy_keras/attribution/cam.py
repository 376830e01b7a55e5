"""CAM."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.linear_head import find_linear_head
from proxy_keras.attribution.method import Method, MethodOutput, weighted_channels
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target


class CAM(Method):
    """Channels weighted by the dense layer's weights for the explained class.

    The weights are the kernel of the dense layer after global average pooling, times the
    derivative of the score by the logits: for a class, its column of the kernel. No gradients of
    the network are needed. Negative evidence is removed, so the map equals Grad-CAM's.

    Source: Zhou et al., Learning Deep Features for Discriminative Localization (CVPR 2016).
    """

    single_pass = True

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and raw heatmaps; see `Method`.

        Raises:
            ValueError: The head is not global average pooling and one dense layer.
        """
        head = find_linear_head(network.flat, network.target_tensor)
        if head is None:
            raise ValueError(
                "CAM needs a head of global average pooling over the target layer and one Dense "
                "layer, with at most dropout in between. Received: target layer "
                f"'{network.flat.name_of(network.target_tensor)}' with another kind of head. Use "
                "method='grad_cam', which works with any head."
            )
        activations, rest = network.run_features(images)
        logits = network.run_head(activations, rest)
        slopes = target(logits).gradient(logits)
        weights = tf.matmul(slopes, head.kernel, transpose_b=True)
        return logits, weighted_channels(activations, weights[:, tf.newaxis, tf.newaxis])
