"""Runs a classifier on many perturbed copies of images, compiled once and a batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import softmax

from proxy_keras.attribution.split_network import CompiledNetwork
from proxy_keras.graph import FlatClone

OUTPUTS = ("probability", "logit")

MakeCopies = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
"""(image of each row [n], which of its copies [n]) -> copies [n, H, W, C]."""


class CompiledClassifier:
    """A float32 copy of a classifier that answers logits and softmax probabilities.

    Every check that measures a model takes one of these in the model's place, so that several
    checks share one copy.

    Args:
        model: Any built Keras 3 classifier; a softmax at its end is left out. Not touched.

    Attributes:
        num_classes: K.

    Raises:
        ValueError: The model cannot be copied; the message says why.
    """

    def __init__(self, model: keras.Model) -> None:
        flat = FlatClone(model)
        self._network = CompiledNetwork(flat, None)
        self._image_shape = tuple(flat.model.inputs[0].shape[1:])
        self.num_classes = int(flat.output.shape[1])

    @classmethod
    def of(cls, model: keras.Model | CompiledClassifier) -> CompiledClassifier:
        """The model compiled, or the argument itself where it is compiled already."""
        return model if isinstance(model, cls) else cls(model)

    def checked_images(self, images: Any) -> NDArray[np.float32]:
        """Images [B, H, W, C] as float32.

        Raises:
            ValueError: There are none, or they are not of the shape that the model takes.
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
        """Class ids [B]: the given ones, or one for all, or where None the predicted ones.

        Raises:
            ValueError: They are no integers in [0, K), or not one per image.
        """
        if class_ids is None:
            return self.logits(images, batch_size).argmax(axis=1)
        return checked_class_ids(class_ids, len(images), self.num_classes)

    def logits(self, images: NDArray[np.float32], batch_size: int) -> NDArray[np.float32]:
        """Logits [B, K] float32.

        Raises:
            ValueError: `batch_size` is below 1.
            FloatingPointError: The model computes values that are not finite.
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
                f"{broken} of {len(logits)} logits are not finite. Look for NaN in the weights, "
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
        """The scores of `count` copies of each image, at most `batch_size` of them in memory.

        Args:
            class_ids: [B], the class whose score is read.
            count: Copies per image, >= 1.
            make_copies: Makes any of them.
            batch_size: Copies per forward pass, >= 1.
            output: "probability" or "logit".

        Returns:
            [B, count] float64.

        Raises:
            ValueError: `output` or `batch_size` has no meaning.
        """
        check_batch_size(batch_size)
        if output not in OUTPUTS:
            raise ValueError(f"`output` must be one of {OUTPUTS}. Received: {output!r}")
        scores = np.empty(len(class_ids) * count)
        for start in range(0, len(scores), batch_size):
            rows = np.arange(start, min(start + batch_size, len(scores)))
            owners, which = np.divmod(rows, count)
            answers = self.logits(make_copies(owners, which), batch_size).astype(np.float64)
            if output == "probability":
                answers = softmax(answers, axis=1)
            scores[rows] = answers[np.arange(len(rows)), class_ids[owners]]
        return scores.reshape(len(class_ids), count)


def checked_class_ids(class_ids: Any, count: int, num_classes: int) -> NDArray[np.int64]:
    """Class ids [count] int64 of one per image, or one for all.

    Raises:
        ValueError: They are no integers in [0, K), or neither one nor `count`.
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
    """Returns if this is a number of images.

    Raises:
        ValueError: It is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be >= 1. Received: {batch_size}")
