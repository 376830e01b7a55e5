"""A callback that counts correct predictions per class on the validation split."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


class ClassCounts(keras.callbacks.Callback):
    """Callback that counts images and correct predictions per class during validation in `fit`.

    Adds one operation to the validation step; no further pass over the data, no log, nothing in the
    training step, and no metric of the model, which would be saved with it. On several devices the
    counts are totals; each worker needs this callback.

    Args:
        classes: Class names by class id, at least two.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__()
        self.classes = list(classes)
        self._epochs: list[dict[str, Any]] = []
        self._validated: list[list[int]] | None = None
        # Each replica is traced in its own thread.
        self._step = threading.local()

    def get_state(self) -> list[dict[str, Any]]:
        """Return `epoch` (from 1), `images` [K] and `right` [K] of each validated epoch."""
        return list(self._epochs)

    def set_state(self, epochs: list[dict[str, Any]]) -> None:
        """Restore the state from `get_state`."""
        self._epochs = list(epochs)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows per epoch and class: `epoch` (from 1), `class`, `images`, `right`."""
        return [
            {"epoch": of["epoch"], "class": name, "images": images, "right": right}
            for of in self._epochs
            for name, images, right in zip(self.classes, of["images"], of["right"], strict=True)
        ]

    def set_model(self, model: keras.Model) -> None:
        """Set the model and patch its validation step to count."""
        super().set_model(model)
        with model.distribute_strategy.scope():
            self._counts = _Counts(len(self.classes))
        model.test_step = self._test_step
        model.compute_metrics = self._compute_metrics
        model.test_function = None

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Reset the counts."""
        self._counts.reset_state()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Read the counts, summed over all replicas."""
        self._validated = keras.ops.convert_to_numpy(self._counts.counts).astype(int).tolist()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Store the counts of the epoch if it was validated."""
        if self._validated is None:
            return
        images, right = self._validated
        self._epochs.append({"epoch": epoch + 1, "images": images, "right": right})
        self._validated = None

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restore the model's own validation step."""
        for name in ("test_step", "compute_metrics"):
            if name in vars(self.model):
                delattr(self.model, name)
        self.model.test_function = None

    def _test_step(self, data: Any) -> Any:
        self._step.is_validation = True
        try:
            return type(self.model).test_step(self.model, data)
        finally:
            self._step.is_validation = False

    # Keras calls this in training steps too, but predictions and labels are only available here.
    def _compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if getattr(self._step, "is_validation", False):
            self._counts.update_state(y, y_pred)
        return type(self.model).compute_metrics(self.model, x, y, y_pred, sample_weight)


class _Counts(keras.metrics.Metric):
    """Images and correct predictions per class, [2, K] float32 under any dtype policy.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(name="class_counts", dtype="float32")
        self._num_classes = num_classes
        self.counts = self.add_variable([2, num_classes], "zeros", name="counts")

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> None:
        """Count a batch: labels [B] or [B, 1] (class ids) or [B, K] (soft), predictions [B, K]."""
        if y_true.shape.rank == 2 and y_true.shape[-1] == self._num_classes:
            labels = tf.argmax(y_true, axis=-1)
        else:
            labels = tf.cast(tf.reshape(y_true, [-1]), tf.int64)
        images = tf.one_hot(labels, self._num_classes)
        is_right = tf.cast(labels == tf.argmax(y_pred, axis=-1), images.dtype)
        right = images * is_right[:, tf.newaxis]
        batch = tf.reduce_sum(tf.stack([images, right]), axis=1)
        self.counts.assign(self.counts + batch)

    def result(self) -> tf.Tensor:
        """Return the counts so far."""
        return self.counts.value
