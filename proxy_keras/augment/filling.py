"""FillingLayer: base class of the augmentations that replace pixels with a colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from proxy_keras.augment.batch_layer import BatchLayer
from proxy_keras.augment.option_rules import is_number, items

Fill = str | float | Sequence[float]


class FillingLayer(BatchLayer):
    """A `BatchLayer` with an option `fill`.

    Args:
        fill: Colour of the removed pixels, in [0, 255]: a grey value, three channels, or "mean",
            the data set's mean colour. Training from the command line computes it; in Python, call
            `dataset_statistics.adapt`. Until then the batch's mean is used.

    Raises:
        ValueError: `fill` is none of these.
    """

    named_fills: tuple[str, ...] = ("mean",)

    def __init__(self, *, fill: Fill = "mean", **options: Any) -> None:
        super().__init__(**options)
        self.fill = self._checked_fill(fill)

    def _checked_fill(self, fill: Fill) -> str | tuple[float, ...]:
        if isinstance(fill, str):
            if fill in self.named_fills:
                return fill
        else:
            colour = (fill,) * 3 if is_number(fill) else items(fill)
            if len(colour) == 3 and all(is_number(v) and 0.0 <= v <= 255.0 for v in colour):
                return tuple(float(value) for value in colour)
        raise ValueError(
            "`fill` must be a grey value or three channels, in [0, 255], or one of "
            f"{', '.join(self.named_fills)}. Received: {fill!r}"
        )

    @property
    def missing_statistics(self) -> tuple[str, ...]:
        return ("mean_colour",) if self.fill == "mean" else ()

    def set_statistic(self, name: str, value: Any) -> None:
        if name != "mean_colour":
            super().set_statistic(name, value)
        self.fill = self._checked_fill([float(channel) for channel in value])

    def fill_where(self, images: tf.Tensor, is_out: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Fill pixels where `is_out` [B, H, W, 1] bool; `seed` is for random fills."""
        return tf.where(is_out, self._fill(images, seed), images)

    def _fill(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        if self.fill == "mean":
            return tf.reduce_mean(images, axis=[0, 1, 2])
        return tf.constant(self.fill, tf.float32)
