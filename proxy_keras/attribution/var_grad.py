"""VarGrad: the variance of the gradients over noisy copies of the image."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.noise_tunnel import NoiseTunnel


class VarGrad(NoiseTunnel):
    """The variance of the gradients at noisy copies of the image.

    It is zero where the score is linear, because noise does not change the gradient there.
    Options: see `NoiseTunnelOptions`.

    Source: Adebayo et al., Local Explanation Methods for Deep Neural Networks Lack Sensitivity to
    Parameter Values (2018).
    """

    def combine(self, mean: tf.Tensor, mean_square: tf.Tensor) -> tf.Tensor:
        """Return the variance; see `NoiseTunnel`."""
        variance = mean_square - tf.square(mean)
        # Constant gradients differ by rounding errors of float32, which are no variance.
        return tf.where(variance > 1e-12 * mean_square, variance, tf.zeros_like(variance))
