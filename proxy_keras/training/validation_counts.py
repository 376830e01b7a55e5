"""A callback that counts correct predictions per class and per group on the validation split."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.training.selections import WORST_CLASS, WORST_GROUP

_LOGS = {"class": WORST_CLASS, "group": WORST_GROUP}


class ValidationCounts(keras.callbacks.Callback):
    """Callback that counts images and correct predictions per part during validation in `fit`.

    Parts are the classes and, where they are known, the groups. At the end of each epoch it logs
    the lowest accuracy of a class, and that of a group. Adds one operation to the validation step
    for each kind of parts; no further pass over the data, nothing in the training step, and no
    metric of the model, which would be saved with it. On several devices the counts are totals;
    each worker needs this callback, before all callbacks that read its logs.

    Args:
        classes: Class names by class id, at least two.
        groups: Group names by id. With groups, validation batches must be (images, labels, groups
            [B] int32), see `DataSplit.batches_with_groups`. Empty: they have none.
    """

    def __init__(self, classes: Sequence[str], groups: Sequence[str] = ()) -> None:
        super().__init__()
        self._names = {"class": list(classes), **({"group": list(groups)} if groups else {})}
        self._epochs: dict[str, list[dict[str, Any]]] = {kind: [] for kind in self._names}
        self._validated: dict[str, list[list[int]]] = {}
        # Each replica is traced in its own thread.
        self._step = threading.local()

    def get_state(self) -> dict[str, list[dict[str, Any]]]:
        """Return `epoch` (from 1), `images` and `right` by part, of each validated epoch.

        They are under "class" and, with groups, under "group".
        """
        return {kind: list(epochs) for kind, epochs in self._epochs.items()}

    def set_state(self, state: Mapping[str, Sequence[dict[str, Any]]]) -> None:
        """Restore the state from `get_state`; what it lacks has no counts yet."""
        self._epochs = {kind: list(state.get(kind, ())) for kind in self._names}

    @property
    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Rows per epoch and part, by kind: `epoch` (from 1), the part's name, `images`, `right`.

        The kind, "class" or "group", is the column of the name.
        """
        return {
            kind: [
                {"epoch": of["epoch"], kind: name, "images": images, "right": right}
                for of in self._epochs[kind]
                for name, images, right in zip(names, of["images"], of["right"], strict=True)
            ]
            for kind, names in self._names.items()
        }

    def set_model(self, model: keras.Model) -> None:
        """Set the model and patch its validation step to count."""
        super().set_model(model)
        with model.distribute_strategy.scope():
            self._counts = {kind: _Counts(kind, len(names)) for kind, names in self._names.items()}
        model.test_step = self._test_step
        model.compute_metrics = self._compute_metrics
        model.test_function = None

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Reset the counts."""
        for counts in self._counts.values():
            counts.reset_state()

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Read the counts, summed over all replicas."""
        self._validated = {
            kind: keras.ops.convert_to_numpy(counts.counts).astype(int).tolist()
            for kind, counts in self._counts.items()
        }

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Store and log the counts of the epoch if it was validated."""
        for kind, (images, right) in self._validated.items():
            self._epochs[kind].append({"epoch": epoch + 1, "images": images, "right": right})
            shares = [r / n for n, r in zip(images, right, strict=True) if n]
            if logs is not None and shares:
                logs[_LOGS[kind]] = min(shares)
        self._validated = {}

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restore the model's own validation step."""
        for name in ("test_step", "compute_metrics"):
            if name in vars(self.model):
                delattr(self.model, name)
        self.model.test_function = None

    def _test_step(self, data: Any) -> Any:
        self._step.is_validation = True
        if "group" in self._names:
            images, labels, self._step.groups = data
            data = images, labels
        try:
            return type(self.model).test_step(self.model, data)
        finally:
            self._step.is_validation = False

    # Keras calls this in training steps too, but predictions and labels are only available here.
    def _compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if getattr(self._step, "is_validation", False):
            labels = _class_ids(y, len(self._names["class"]))
            is_right = labels == tf.argmax(y_pred, axis=-1)
            self._counts["class"].update_state(labels, is_right)
            if "group" in self._names:
                self._counts["group"].update_state(self._step.groups, is_right)
        return type(self.model).compute_metrics(self.model, x, y, y_pred, sample_weight)


def _class_ids(labels: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Return class ids [B] int64 for [B] or [B, 1] class ids, or [B, K] shares of the classes."""
    if labels.shape.rank == 2 and labels.shape[-1] == num_classes:
        return tf.argmax(labels, axis=-1)
    return tf.cast(tf.reshape(labels, [-1]), tf.int64)


class _Counts(keras.metrics.Metric):
    """Images and correct predictions per part, [2, parts] float32 under any dtype policy.

    Args:
        kind: What the parts are.
        parts: Their number.
    """

    def __init__(self, kind: str, parts: int) -> None:
        super().__init__(name=f"{kind}_counts", dtype="float32")
        self._parts = parts
        self.counts = self.add_variable([2, parts], "zeros", name="counts")

    def update_state(self, part_ids: tf.Tensor, is_right: tf.Tensor) -> None:
        """Count a batch: parts [B] integers, -1 for none of them, and [B] bool."""
        images = tf.one_hot(part_ids, self._parts)
        right = images * tf.cast(is_right, images.dtype)[:, tf.newaxis]
        batch = tf.reduce_sum(tf.stack([images, right]), axis=1)
        self.counts.assign(self.counts + batch)

    def result(self) -> tf.Tensor:
        """Return the counts so far."""
        return self.counts.value
