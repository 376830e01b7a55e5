"""GradientSHAP: expected gradients at random points between a background and the image."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from proxy_keras.attribution.baselines import BaselineMethod
from proxy_keras.attribution.image_gradient import copies_per_pass, copy_gradients, fold
from proxy_keras.attribution.method import MethodOutput, SignedMethod
from proxy_keras.attribution.method_options import GradientSHAPOptions
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target


class GradientSHAP(GradientSHAPOptions, BaselineMethod, SignedMethod):
    """The mean of gradient times difference, at random points between background and image.

    In expectation the attributions of an image sum to its score minus the mean score of the
    background. The background images are used equally often and the points are spread evenly
    along each path, which reduces the variance compared to drawing both.

    Source: Lundberg and Lee, A Unified Approach to Interpreting Model Predictions (NeurIPS 2017);
    Erion et al., Improving performance of deep learning models with axiomatic attribution priors
    and expected gradients (2019).
    """

    has_image_size = True
    needs_image_gradient = True
    needs_layer = False

    def __post_init__(self) -> None:
        super().__post_init__()
        count = 1 if self.background is None else len(self.background)
        rng = np.random.default_rng(self.seed)
        rounds, positions = np.divmod(np.arange(self.samples), count)
        uses = np.bincount(positions, minlength=count)
        # Even steps along each path, with starts shifted evenly from path to path.
        shares = (rounds + (positions + rng.uniform()) / count) / uses[positions]
        self._shares = shares.astype(np.float32)
        self._picks = rng.permutation(count)[positions]

    def attribute(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and attributions [B, H, W, C] from `samples` + 1 passes."""
        logits = network.logits(images)
        score = target(logits)

        def start(index: tf.Tensor) -> tf.Tensor:
            if self.background is None:
                return self.baselines(images, index)
            image = tf.gather(self.background, tf.gather(self._picks, index))
            return tf.broadcast_to(image, tf.shape(images))

        def update(indices: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor]:
            starts = tf.map_fn(start, indices, fn_output_signature=tf.float32)
            differences = images - starts
            shares = tf.reshape(tf.gather(self._shares, indices), [-1, 1, 1, 1, 1])
            _, gradients = copy_gradients(network, starts + shares * differences, score)
            return (total + tf.reduce_sum(gradients * differences, axis=0),)

        per_pass = copies_per_pass(images, self.chunk_size)
        (total,) = fold(self.samples, per_pass, (tf.zeros_like(images),), update)
        return logits, total / self.samples
