"""SpecAugment: frequency and time bands masked in spectrograms."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import Batch
from proxy_keras.augment.filling import Fill, FillingLayer
from proxy_keras.augment.masks import size_of
from proxy_keras.augment.option_rules import check_count, check_share
from proxy_keras.augment.stateless_random import integers, split_seed


@keras.saving.register_keras_serializable("proxy_keras")
class SpecAugment(FillingLayer):
    """Masked bands of rows (frequencies) and columns (times), without time warping.

    Args:
        frequency: Largest height of a band of rows, as a share of the height, in [0, 1]: F, 27 of
            80 in the paper.
        time: Largest width of a band of columns, as a share of the width, in [0, 1]: T, 100 steps
            in the paper.
        masks: Number of bands of each kind.
        fill: See `FillingLayer`; the paper's zero, after normalisation, is the mean.

    Raises:
        ValueError: An option has an invalid value.

    Source: Park et al., SpecAugment (2019): the width f of a band is uniform in [0, F], its start
    uniform in [0, H - f).
    """

    keeps_labels = True

    def __init__(
        self,
        frequency: float = 27 / 80,
        time: float = 0.2,
        masks: int = 2,
        fill: Fill = "mean",
        **options: Any,
    ) -> None:
        check_share("frequency", frequency)
        check_share("time", time)
        check_count("masks", masks)
        self.frequency, self.time, self.masks = frequency, time, masks
        super().__init__(fill=fill, **options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        if self.masks == 0:
            return images, labels
        count, height, width = size_of(images)
        of_rows, of_columns = split_seed(seed, 2)
        rows = bands(count, height, self.frequency, self.masks, of_rows)
        columns = bands(count, width, self.time, self.masks, of_columns)
        is_out = rows[:, :, tf.newaxis, tf.newaxis] | columns[:, tf.newaxis, :, tf.newaxis]
        return self.fill_where(images, is_out, seed), labels


def bands(
    count: tf.Tensor, length: tf.Tensor, widest: float, number: int, seed: tf.Tensor
) -> tf.Tensor:
    """Return the mask of the positions inside one of the bands: [count, length] bool."""
    of_width, of_start = split_seed(seed, 2)
    limit = tf.cast(tf.round(widest * tf.cast(length, tf.float32)), tf.int32)
    width = integers([count, number], of_width, limit + 1)
    start = integers([count, number], of_start, tf.maximum(length - width, 1))
    positions = tf.range(length)
    start, width = start[..., tf.newaxis], width[..., tf.newaxis]
    return tf.reduce_any((positions >= start) & (positions < start + width), axis=1)
