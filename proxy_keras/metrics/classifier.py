"""A compiled classifier that scores many perturbed copies of images in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.attribution.split_network import CompiledNetwork
from proxy_keras.graph import FlatClone
from proxy_keras.graph.probabilities import probabilities_of

OUTPUTS = ("probability", "logit")

MakeCopies = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
"""(image index of each row [n], number of its copy [n]) -> copies [n, H, W, C]."""


class CompiledClassifier:
    """A float32 copy of a classifier that returns logits and probabilities.

    Every metric of a model accepts one in place of the model, so that several metrics share one
    copy.

    Args:
        model: Any built Keras 3 classifier; a softmax or sigmoid at its end is undone. It is not
            modified.

    Attributes:
        num_classes: K.
        output_description: What the model's own output is, such as "softmax of logits".
        is_multi_label: Whether each class has a probability of its own, from a sigmoid.
        is_measured: Whether that was measured, because the model's graph does not tell it.

    Raises:
        ValueError: The model cannot be copied; the message says why.
    """

    def __init__(self, model: keras.Model) -> None:
        flat = FlatClone(model)
        self._network = CompiledNetwork(flat, None)
        self._image_shape = tuple(flat.model.inputs[0].shape[1:])
        self.num_classes = int(flat.output.shape[1])
        self.output_description = flat.output_description
        self.is_multi_label = flat.is_multi_label
        self.is_measured = flat.is_measured

    @classmethod
    def of(cls, model: keras.Model | CompiledClassifier) -> CompiledClassifier:
        """Return the compiled model, or the argument itself if it is compiled already."""
        return model if isinstance(model, cls) else cls(model)

    def checked_images(self, images: Any) -> NDArray[np.float32]:
        """Return the images [B, H, W, C] as float32.

        Raises:
            ValueError: There are none, or their shape is not the model's input shape.
        """
        images = np.asarray(images, np.float32)
        is_batch = images.ndim == len(self._image_shape) + 1 and len(images) > 0
        if not is_batch or not tf.TensorShape(self._image_shape).is_compatible_with(
            images.shape[1:]
        ):
            raise ValueError(
                f"`images` must be a batch of at least one image {self._image_shape}. Received: "
                f"shape {images.shape}. For a single image pass images[None]."
            )
        return images

    def checked_class_ids(
        self, class_ids: Any, images: NDArray[np.float32], batch_size: int
    ) -> NDArray[np.int64]:
        """Return class ids [B]: the given ones, or the predicted ones if None.

        Raises:
            ValueError: They are not integers in [0, K), or not one per image.
        """
        if class_ids is None:
            return self.logits(images, batch_size).argmax(axis=1)
        return checked_class_ids(class_ids, len(images), self.num_classes)

    def logits(self, images: NDArray[np.float32], batch_size: int) -> NDArray[np.float32]:
        """Return logits [B, K] float32.

        Raises:
            ValueError: `batch_size` is below 1.
            FloatingPointError: A logit is not finite.
        """
        check_batch_size(batch_size)
        parts = [
            self._network.logits(tf.constant(images[start : start + batch_size])).numpy()
            for start in range(0, len(images), batch_size)
        ]
        logits = np.concatenate(parts)
        broken = int((~np.isfinite(logits)).any(axis=1).sum())
        if broken:
            raise FloatingPointError(
                f"{broken} of {len(logits)} logits are not finite. Look for NaN in the weights "
                "and in the images."
            )
        return logits

    def scores_of_copies(
        self,
        class_ids: NDArray[np.int64],
        count: int,
        make_copies: MakeCopies,
        batch_size: int,
        output: str = "probability",
    ) -> NDArray[np.float64]:
        """Score `count` copies of each image, with at most `batch_size` copies in memory.

        Args:
            class_ids: [B], the class whose score is read.
            count: Copies per image, >= 1.
            make_copies: Makes the requested copies.
            batch_size: Copies per forward pass, >= 1.
            output: "probability" or "logit".

        Returns:
            [B, count] float64.

        Raises:
            ValueError: `output` or `batch_size` is invalid.
        """
        check_batch_size(batch_size)
        if output not in OUTPUTS:
            raise ValueError(f"`output` must be one of {OUTPUTS}. Received: {output!r}")
        scores = np.empty(len(class_ids) * count)
        for start in range(0, len(scores), batch_size):
            rows = np.arange(start, min(start + batch_size, len(scores)))
            owners, which = np.divmod(rows, count)
            values = self.logits(make_copies(owners, which), batch_size).astype(np.float64)
            if output == "probability":
                values = probabilities_of(values, is_multi_label=self.is_multi_label)
            scores[rows] = values[np.arange(len(rows)), class_ids[owners]]
        return scores.reshape(len(class_ids), count)


def checked_class_ids(class_ids: Any, count: int, num_classes: int) -> NDArray[np.int64]:
    """Return class ids [count] int64, given one per image or one for all.

    Raises:
        ValueError: They are not integers in [0, K), or neither one nor `count`.
    """
    ids = np.asarray(class_ids)
    if ids.shape not in ((), (count,)) or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(
            f"`class_ids` must be {count} integers, one per image, or one for all. Received: "
            f"shape {ids.shape}, dtype {ids.dtype}. For one-hot labels pass their argmax."
        )
    if not (ids.min() >= 0 and ids.max() < num_classes):
        raise ValueError(
            f"`class_ids` must be in [0, {num_classes}). Received: {ids.min()} to {ids.max()}"
        )
    return np.broadcast_to(ids, (count,)).astype(np.int64)


def check_batch_size(batch_size: int) -> None:
    """Raise ValueError if the batch size is below 1."""
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be >= 1. Received: {batch_size}")
