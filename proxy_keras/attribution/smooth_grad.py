"""SmoothGrad: the mean gradient over noisy copies of the image."""

from __future__ import annotations

import tensorflow as tf

from proxy_keras.attribution.noise_tunnel import NoiseTunnel


class SmoothGrad(NoiseTunnel):
    """The magnitude of the mean gradient at noisy copies of the image.

    Signed gradients are averaged, as in the paper. Options: see `NoiseTunnelOptions`.

    Source: Smilkov et al., SmoothGrad: removing noise by adding noise (2017).
    """

    def combine(self, mean: tf.Tensor, mean_square: tf.Tensor) -> tf.Tensor:
        """Return the mean; see `NoiseTunnel`."""
        return mean
