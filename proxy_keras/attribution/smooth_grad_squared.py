"""SmoothGrad-Squared: the mean of the squared gradients over noisy copies of the image."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.noise_tunnel import NoiseTunnel


class SmoothGradSquared(NoiseTunnel):
    """The mean of the squares of the gradients at noisy copies of the image.

    Options: see `NoiseTunnelOptions`.

    Source: Hooker et al., A Benchmark for Interpretability Methods in Deep Neural Networks
    (NeurIPS 2019).
    """

    def combine(self, mean: tf.Tensor, mean_square: tf.Tensor) -> tf.Tensor:
        """Return the mean square; see `NoiseTunnel`."""
        return mean_square
