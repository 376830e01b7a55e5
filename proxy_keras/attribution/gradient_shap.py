"""GradientSHAP: expected gradients over a background and random points on the way from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from proxy_keras.attribution.baselines import BaselineMethod
from proxy_keras.attribution.image_gradient import (
    check_counts,
    copies_per_pass,
    copy_gradients,
    fold,
)
from proxy_keras.attribution.network import Network
from proxy_keras.attribution.target import Target


class GradientSHAP(BaselineMethod):
    """The mean of gradient times way, over ways from a background and a random point on each.

    In expectation the attributions of an image sum to its score minus the mean score of the
    background. The background's images are used equally often and the points are spread evenly
    along each way, which leaves less to chance than drawing both.

    Args:
        samples: Gradients per image, >= 1.
        background: [N, H, W, C], images that the model knows. None: draws of `baseline`.
        baseline: "black", "white", "mean", "blur" or "uniform"; see `Baseline`. The last gives
            another image for each sample.
        value_range: (lowest, highest) value of the images that the model takes.
        seed: Of all that is drawn; the draws are the same for every image.
        chunk_size: Images per pass, >= 1, where the batch is not larger; it bounds the memory.

    Raises:
        ValueError: An option is outside its range, or the background is not a batch of images.

    Source: Lundberg and Lee, A Unified Approach to Interpreting Model Predictions (NeurIPS 2017);
    Erion et al., Improving performance of deep learning models with axiomatic attribution priors
    and expected gradients (2019).
    """

    has_image_size = True
    needs_layer = False

    def __init__(
        self,
        *,
        samples: int = 50,
        background: Any = None,
        baseline: str = "uniform",
        value_range: tuple[float, float] = (0.0, 255.0),
        seed: int = 0,
        chunk_size: int = 32,
    ) -> None:
        super().__init__(baseline=baseline, value_range=value_range, seed=seed)
        check_counts(samples=samples, chunk_size=chunk_size)
        self.samples = samples
        self.chunk_size = chunk_size
        self._background: np.ndarray | None = None
        if background is not None:
            self._background = np.asarray(background, np.float32)
            if self._background.ndim != 4 or len(self._background) == 0:
                raise ValueError(
                    "`background` must be images [N, H, W, C], N >= 1. Received: shape "
                    f"{self._background.shape}"
                )
        count = 1 if self._background is None else len(self._background)
        rng = np.random.default_rng(seed)
        rounds, places = np.divmod(np.arange(samples), count)
        uses = np.bincount(places, minlength=count)
        # Even steps along each way, and a start that is shifted evenly from way to way.
        shares = (rounds + (places + rng.uniform()) / count) / uses[places]
        self._shares = shares.astype(np.float32)
        self._picks = rng.permutation(count)[places]

    def attribute(
        self, network: Network, images: tf.Tensor, target: Target
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits and attributions [B, H, W, C] from `samples` + 1 passes; see `SignedMethod`."""
        logits = network.logits(images)
        score = target(logits)

        def start(number: tf.Tensor) -> tf.Tensor:
            if self._background is None:
                return self.baseline(images, number)
            image = tf.gather(self._background, tf.gather(self._picks, number))
            return tf.broadcast_to(image, tf.shape(images))

        def update(numbers: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor]:
            starts = tf.map_fn(start, numbers, fn_output_signature=tf.float32)
            ways = images - starts
            shares = tf.reshape(tf.gather(self._shares, numbers), [-1, 1, 1, 1, 1])
            _, gradients = copy_gradients(network, starts + shares * ways, score)
            return (total + tf.reduce_sum(gradients * ways, axis=0),)

        per_pass = copies_per_pass(images, self.chunk_size)
        (total,) = fold(self.samples, per_pass, (tf.zeros_like(images),), update)
        return logits, total / self.samples
