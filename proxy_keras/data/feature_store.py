"""FeatureStore: features of the examples of a split, in place of images."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.data.data_split import finished
from proxy_keras.data.in_python import in_python


class FeatureStore:
    """Features by position: of originals, and of proxies where they never change.

    Args:
        originals: [N, ...] float32.

    Attributes:
        originals: [N, ...] float32.
    """

    def __init__(self, originals: NDArray[np.float32]) -> None:
        self.originals = originals
        self._proxies: NDArray[np.float32] | None = None
        self._slot = np.full([len(originals)], -1, np.int32)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the features of one example."""
        return self.originals.shape[1:]

    def forget_proxies(self) -> None:
        """Drop the features of proxies: those of all proxies are unknown, as at first."""
        self._proxies = None

    def put_proxies(self, positions: NDArray[np.int64], features: NDArray[np.float32]) -> None:
        """Replace the features of proxies.

        Args:
            positions: [K] positions of the proxies. All others look like their originals.
            features: [K, ...].
        """
        slot = np.full([len(self.originals)], -1, np.int32)
        slot[positions] = np.arange(len(positions), dtype=np.int32)
        self._proxies, self._slot = features, slot

    def look_up(
        self, positions: NDArray[np.int64], is_proxy: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return features [B, ...], and [B] bool: they are unknown, so that the image is needed."""
        features = self.originals[positions]
        if self._proxies is None:
            return features, is_proxy
        slots = np.where(is_proxy, self._slot[positions], -1)
        features[slots >= 0] = self._proxies[slots[slots >= 0]]
        return features, np.zeros_like(is_proxy)

    def batches(self, batch_size: int, *targets: NDArray[np.int32]) -> tf.data.Dataset:
        """Return the originals in their order.

        Args:
            batch_size: Examples per batch.
            targets: [N] each, such as the labels.

        Returns:
            Batches of ({"features": [B, ...]}, one array [B] for each of `targets`).
        """

        def look_up(positions: tf.Tensor) -> tuple[dict[str, tf.Tensor] | tf.Tensor, ...]:
            features = in_python(lambda places: self.originals[places], [positions], tf.float32)
            features = tf.ensure_shape(features, [None, *self.shape])
            of_batch = (tf.gather(tf.constant(values), positions) for values in targets)
            return {"features": features}, *of_batch

        count = len(self.originals)
        batches = tf.data.Dataset.range(count).batch(batch_size).map(look_up)
        return finished(batches, count, batch_size)
