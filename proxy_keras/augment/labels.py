"""Label smoothing, and sample weights for labels that are shares of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.option_rules import check_share


@keras.saving.register_keras_serializable("proxy_keras")
class LabelSmoothing(BatchLayer):
    """Labels moved towards uniform shares: `(1 - amount) * labels + amount / K`.

    Linear, so applying it before or after methods that mix labels gives the same result (except
    for `SnapMix`, whose labels need not sum to 1).

    Args:
        amount: In [0, 1].

    Raises:
        ValueError: `amount` is outside [0, 1].

    Source: Szegedy et al., Rethinking the Inception Architecture (2016).
    """

    keeps_images = True

    def __init__(self, amount: float = 0.1, **options: Any) -> None:
        check_share("amount", amount)
        self.amount = amount
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        return images, (1.0 - self.amount) * labels + self.amount / labels.shape[-1]


def sample_weights(labels: tf.Tensor, class_weights: Sequence[float]) -> tf.Tensor:
    """Return the mean of the class weights of each image, weighted by the label's shares.

    The `class_weight` of `fit` would only count the class with the largest share. Use this instead:
    `batches.map(lambda x, y: (x, y, sample_weights(y, weights)))`.

    Args:
        labels: [B, K] float32, shares that sum to 1.
        class_weights: K weights, >= 0.

    Returns:
        [B] float32.

    Raises:
        ValueError: The number of weights is not the number of classes.
    """
    if len(class_weights) != labels.shape[-1]:
        raise ValueError(
            f"`class_weights` must have one weight for each of the {labels.shape[-1]} classes. "
            f"Received: {len(class_weights)}"
        )
    return tf.linalg.matvec(labels, tf.constant(class_weights, labels.dtype))
