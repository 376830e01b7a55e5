"""Group DRO: the loss of the worst group, by weights that follow the losses of the groups."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.data.groups import Groups
from proxy_keras.robust.groups import group_sizes


class GroupWeights:
    """Weights of the groups in the loss, updated by exponentiated gradient ascent at each step.

    Args:
        groups: The groups of the training examples.
        step: Step size of the ascent, > 0.
        adjustment: C >= 0; the group adjustment C / sqrt(n) is added to the loss of a group of n
            examples, so that small groups, which generalise worse, count more.

    Raises:
        ValueError: A group has no example.

    Source: Sagawa, Koh, Hashimoto & Liang, Distributionally Robust Neural Networks for Group
        Shifts (2020), algorithm 1 and section 3.3.
    """

    def __init__(
        self,
        groups: Groups,
        *,
        step: float = 0.01,
        adjustment: float = 0.0,
    ) -> None:
        sizes = group_sizes(groups)
        self._step = step
        self._added = tf.constant(adjustment / np.sqrt(sizes), tf.float32)
        self._weights = tf.Variable(tf.fill([len(sizes)], 1.0 / len(sizes)), trainable=False)

    def loss(self, losses: tf.Tensor, groups: tf.Tensor) -> tf.Tensor:
        """Update the weights, and return the loss to minimise.

        A group without an example in the batch has a loss of 0 there.

        Args:
            losses: [B] float32, of the examples of a batch.
            groups: [B] int32 group ids, or -1: unknown, which count nowhere.

        Returns:
            A float32 scalar: the mean losses of the groups, weighted. Its gradient does not reach
            the weights.
        """
        # A one-hot row of an unknown group is all zeros.
        members = tf.one_hot(groups, len(self._added))
        counts = tf.reduce_sum(members, axis=0)
        means = tf.math.divide_no_nan(tf.linalg.matvec(members, losses, transpose_a=True), counts)
        means += tf.where(counts > 0.0, self._added, 0.0)
        raised = self._weights * tf.exp(self._step * tf.stop_gradient(means))
        weights = self._weights.assign(raised / tf.reduce_sum(raised))
        return tf.reduce_sum(tf.stop_gradient(weights) * means)

    @property
    def weights(self) -> NDArray[np.float32]:
        """The weights [G], which sum to 1."""
        return np.array(self._weights.numpy())

    def get_state(self) -> dict[str, NDArray[np.generic]]:
        """Return the weights, for a checkpoint."""
        return {"weights": self.weights}

    def set_state(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Restore what `get_state` returned."""
        self._weights.assign(arrays["weights"])
