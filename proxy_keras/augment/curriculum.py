"""Curriculum: an augmentation whose strength depends on the epoch or the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import BatchLayer, wrapped_layer
from proxy_keras.augment.option_rules import check_choice, check_count, check_number, check_share


@keras.saving.register_keras_serializable("proxy_keras")
class Curriculum(BatchLayer):
    """Another augmentation, with a strength that changes during training.

    The chance that an image is changed is the strength times the augmentation's own `probability`.
    At strength 0 all images and labels are unchanged.

    ```python
    layer = Curriculum(of=augment.get("grid_mask"), shape="linear", epochs=20)
    ```

    Args:
        of: A `BatchLayer`, or its configuration from `keras.saving`.
        shape: How the strength changes from `start` to `end`: "linear"; "cosine", slow at both
            ends; "step", abruptly; "loss", by the loss of the previous epoch, which needs a
            `CurriculumClock`.
        epochs: The epoch, counted from 0, at which the strength reaches `end`; >= 1.
        start, end: Strengths in [0, 1].
        loss_at_start, loss_at_end: For "loss": the losses at which the strength is `start` and
            `end`; linear in between.

    Raises:
        ValueError: An option has an invalid value.

    Source: based on Bengio et al., Curriculum Learning (2009); GridMask (Chen 2020) varies the
    probability in the same way.
    """

    needs_epoch = True

    def __init__(
        self,
        of: BatchLayer | Mapping[str, Any],
        shape: str = "linear",
        epochs: int = 10,
        start: float = 0.0,
        end: float = 1.0,
        loss_at_start: float = 2.0,
        loss_at_end: float = 0.5,
        **options: Any,
    ) -> None:
        layer = wrapped_layer("of", of)
        check_choice("shape", shape, ("linear", "cosine", "step", "loss"))
        check_count("epochs", epochs, 1)
        check_number("loss_at_start", loss_at_start)
        check_number("loss_at_end", loss_at_end)
        if loss_at_start == loss_at_end:
            raise ValueError(
                f"`loss_at_start` and `loss_at_end` must differ. Received: {loss_at_end}"
            )
        check_share("start", start)
        check_share("end", end)
        super().__init__(**options)
        self.of = layer
        self.shape, self.epochs, self.start, self.end = shape, int(epochs), start, end
        self.loss_at_start, self.loss_at_end = loss_at_start, loss_at_end
        self.needs_maps = layer.needs_maps
        self.keeps_images, self.keeps_labels = layer.keeps_images, layer.keeps_labels
        if shape == "loss":
            self.by_loss = self.add_weight(
                name="strength",
                shape=(),
                initializer=keras.initializers.Constant(start),
                trainable=False,
            )

    def strength(self, epoch: int | tf.Tensor) -> tf.Tensor:
        """Return the strength in an epoch, counted from 0: float32 in [0, 1]."""
        if self.shape == "loss":
            return tf.convert_to_tensor(self.by_loss)
        epoch = tf.cast(epoch, tf.float32)
        if self.shape == "step":
            progress = tf.cast(epoch >= self.epochs, tf.float32)
        else:
            progress = tf.clip_by_value(epoch / self.epochs, 0.0, 1.0)
        if self.shape == "cosine":
            progress = (1.0 - tf.cos(math.pi * progress)) / 2.0
        return self.start + (self.end - self.start) * progress

    def strength_at_loss(self, loss: float) -> float:
        """Return the strength after an epoch with this loss, for `shape="loss"`."""
        progress = (self.loss_at_start - loss) / (self.loss_at_start - self.loss_at_end)
        return self.start + (self.end - self.start) * min(max(progress, 0.0), 1.0)

    def call(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor | None = None,
        heatmaps: tf.Tensor | None = None,
        strength: tf.Tensor | float | None = None,
        training: bool = True,
        epoch: tf.Tensor | int | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """See `BatchLayer`.

        Args:
            images, labels, seed, heatmaps, strength, training: See `BatchLayer.call`.
            epoch: Counted from 0, a scalar; `TrainSplit.batches` passes it.

        Raises:
            ValueError: The strength depends on the epoch, and `epoch` is None.
        """
        if epoch is None and self.shape != "loss":
            raise ValueError("Curriculum needs `epoch`, counted from 0.")
        if seed is None:
            seed = tf.cast(self._seeds.next(), tf.int64)
        now = self.probability * self.strength(0 if epoch is None else epoch)
        return self.of(
            images,
            labels,
            seed,
            heatmaps,
            strength=now if strength is None else now * strength,
            training=training,
        )

    @property
    def wrapped(self) -> BatchLayer:
        return self.of


class CurriculumClock(keras.callbacks.Callback):
    """A callback that sets the strength of a `Curriculum` with `shape="loss"` after each epoch.

    To resume training exactly, save `get_state()` with the checkpoint, and pass it to `set_state()`
    before calling `fit` again.

    Args:
        layer: The curriculum.
        monitor: Name of the loss in the logs at the end of an epoch.

    Raises:
        ValueError: The curriculum depends on the epoch.
    """

    def __init__(self, layer: Curriculum, monitor: str = "loss") -> None:
        super().__init__()
        if layer.shape != "loss":
            raise ValueError(
                f"CurriculumClock is for shape='loss'. A {layer.shape!r} curriculum needs none."
            )
        self._layer = layer
        self._monitor = monitor

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set and log the strength of the next epoch."""
        logs = {} if logs is None else logs
        check_choice("monitor", self._monitor, tuple(logs))
        strength = self._layer.strength_at_loss(float(logs[self._monitor]))
        self._layer.by_loss.assign(strength)
        logs["curriculum"] = strength

    def get_state(self) -> dict[str, float]:
        """Return the current strength."""
        return {"strength": float(self._layer.by_loss)}

    def set_state(self, state: Mapping[str, float]) -> None:
        """Restore the state from `get_state`."""
        self._layer.by_loss.assign(state["strength"])
