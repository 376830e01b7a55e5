"""Occlusion."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from proxy_keras.attribution.masking import MaskingMethod, Subject
from proxy_keras.attribution.method import SignedMethod
from proxy_keras.attribution.network import Network
from proxy_keras.attribution.target import Target


class Occlusion(SignedMethod, MaskingMethod):
    """The drop of the class probability when a patch slides over the image.

    A pixel gets the mean drop of the patches that cover it. The last patch of each row and column
    ends at the border, so that every pixel is covered.

    Args:
        patch: Side of the patch: a float in (0, 1] is a share of each side of the image, an
            integer >= 1 a number of pixels.
        stride: Step, in the same manner. None: half of the patch.
        baseline: What the patch shows, see `MaskingMethod`.
        value_range: (lowest, highest) value of the images that the model takes.
        seed: Of the "uniform" baseline.
        chunk_size: Masked copies per forward pass, >= 1; it bounds the memory.

    Raises:
        ValueError: An option is outside its range.

    Source: Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (ECCV 2014).
    """

    def __init__(
        self,
        *,
        patch: float = 0.25,
        stride: float | None = None,
        baseline: str = "mean",
        value_range: tuple[float, float] = (0.0, 255.0),
        seed: int = 0,
        chunk_size: int = 32,
    ) -> None:
        super().__init__(
            baseline=baseline, value_range=value_range, seed=seed, chunk_size=chunk_size
        )
        _check_length("patch", patch)
        if stride is not None:
            _check_length("stride", stride)
        self.patch = patch
        self.stride = stride

    def attribute(
        self, network: Network, images: tf.Tensor, target: Target
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits and mean drops [B, H, W, 1]; see `SignedMethod`."""
        subject = Subject.of(network, images, target)
        rows, columns = (tf.constant(self._windows(side)) for side in images.shape[1:3])
        across = columns.shape[0]

        def kept(_: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
            down = tf.gather(rows, numbers // across)[:, :, tf.newaxis]
            return 1.0 - down * tf.gather(columns, numbers % across)[:, tf.newaxis]

        count = rows.shape[0] * across
        changes = self.changes_of_all(subject, count, kept)
        drops = tf.reshape(-changes, [-1, rows.shape[0], across])
        covers = tf.einsum("rh,cw->hw", rows, columns)
        heat = tf.einsum("brc,rh,cw->bhw", drops, rows, columns) / covers
        return subject.logits, heat[..., tf.newaxis]

    def _windows(self, side: int) -> np.ndarray:
        """[places, side] float32, 1 where the patch is at each of its places along one axis."""
        length = _pixels(self.patch, side)
        step = max(1, length // 2) if self.stride is None else _pixels(self.stride, side)
        last = side - length
        starts = np.append(np.arange(0, last, step), last)[:, np.newaxis]
        pixels = np.arange(side)
        return ((pixels >= starts) & (pixels < starts + length)).astype(np.float32)


def _check_length(name: str, length: float) -> None:
    if isinstance(length, (int, np.integer)):
        is_length = length >= 1 and not isinstance(length, bool)
    else:
        is_length = 0 < length <= 1
    if not is_length:
        raise ValueError(
            f"`{name}` must be a float in (0, 1], a share of the side, or an integer >= 1, in "
            f"pixels. Received: {length!r}"
        )


def _pixels(length: float, side: int) -> int:
    whole = isinstance(length, (int, np.integer))
    return min(side, max(1, int(length) if whole else round(length * side)))
