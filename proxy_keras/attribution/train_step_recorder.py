"""Logits and heatmaps recorded from the forward passes of training steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.attribution.method import GradientMethod
from proxy_keras.attribution.target import ScoreFunction, make_target


class TrainStepRecorder:
    """A recorder of logits and heatmaps from training steps, without extra forward passes.

    With global average pooling and one Dense layer after the target layer, logits and gradients
    follow from its activations in closed form. They are those of training mode: with dropout
    before the target layer, batch statistics, and the images as they were served.

    Args:
        model: The model that `fit` trains.
        layer: Its target layer or operation.
        dense: Its last layer (`Dense`, or `Conv2D` with a 1x1 kernel), whose input is the mean of
            the target layer's activations.
        method: The method that combines activations and gradients.
        num_classes: K.
        explain: The score to explain, see `Explainer`.
        postprocess: Scales raw heatmaps [B, h, w] to [0, 1].
        map_shape: (h, w) of the heatmaps.

    Raises:
        ValueError: The model trains several steps per call, or on several devices.
    """

    def __init__(
        self,
        model: keras.Model,
        layer: keras.Operation,
        dense: keras.layers.Layer,
        method: GradientMethod,
        *,
        num_classes: int,
        explain: str | ScoreFunction,
        postprocess: Callable[[tf.Tensor], tf.Tensor],
        map_shape: tuple[int, int],
    ) -> None:
        self._model = model
        self._layer = layer
        self._dense = dense
        self._method = method
        self._num_classes = num_classes
        self._explain = explain
        self._postprocess = postprocess
        self._map_shape = map_shape
        self._size = 0

    def attach(self, batch_size: int) -> None:
        """Record the steps of the model's next `fit`; call it before `fit` builds its function.

        Args:
            batch_size: The largest batch size.
        """
        model = self._model
        if model.steps_per_execution != 1:
            raise ValueError(
                "Heatmaps from training steps need compile(steps_per_execution=1). Received: "
                f"{model.steps_per_execution}. Set it to 1, or use wrong_from='evaluation'."
            )
        if model.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError(
                "Heatmaps from training steps can be recorded on one device only. Received: "
                f"{model.distribute_strategy.num_replicas_in_sync} replicas. Use "
                "wrong_from='evaluation'."
            )
        # XLA requires variables of fixed size.
        self._size = batch_size
        self._logits = tf.Variable(tf.zeros([batch_size, self._num_classes]), trainable=False)
        maps = tf.zeros([batch_size, *self._map_shape], tf.uint8)
        self._heatmaps = tf.Variable(maps, trainable=False)
        model.train_step = self._train_step
        model.train_function = None

    def detach(self) -> None:
        """Restore the model's own training step."""
        if "train_step" in vars(self._model):
            del self._model.train_step
            self._model.train_function = None

    def read(self, count: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return logits [B, K] and heatmaps [B, h, w] (255 is 1.0) of the last step's B images."""
        return self._logits.numpy()[:count], self._heatmaps.numpy()[:count]

    def _train_step(self, data: Any) -> Any:
        # Read before the step updates them.
        kernel = tf.cast(tf.identity(self._dense.kernel.value), tf.float32)
        kernel = tf.reshape(kernel, [-1, self._num_classes])
        bias = 0.0 if self._dense.bias is None else tf.identity(self._dense.bias.value)
        with self._captured_outputs() as captured:
            results = type(self._model).train_step(self._model, data)
        if not captured:
            raise ValueError(
                f"The training step never called layer '{self._layer.name}'. Use "
                "wrong_from='evaluation'."
            )
        activations = tf.cast(tf.stop_gradient(captured[-1]), tf.float32)
        _, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        self._record(activations, kernel, tf.cast(bias, tf.float32), labels)
        return results

    @contextmanager
    def _captured_outputs(self) -> Iterator[list[tf.Tensor]]:
        """Collect the outputs of the target layer."""
        captured: list[tf.Tensor] = []
        call = self._layer.call

        def capture(*args: Any, **kwargs: Any) -> Any:
            captured.append(call(*args, **kwargs))
            return captured[-1]

        self._layer.call = capture
        try:
            yield captured
        finally:
            del self._layer.call

    def _record(
        self, activations: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, labels: tf.Tensor
    ) -> None:
        logits = tf.reduce_mean(activations, axis=[1, 2]) @ kernel + bias
        is_one_hot = labels.shape.rank == 2 and labels.shape[1] == logits.shape[1]
        ids = tf.argmax(labels, axis=1) if is_one_hot else tf.reshape(labels, [-1])
        score = make_target(self._explain, tf.cast(ids, tf.int32))(logits)
        # The gradient of the mean is the same in all cells.
        cells = tf.cast(tf.reduce_prod(tf.shape(activations)[1:3]), tf.float32)
        gradients = tf.matmul(score.gradient(logits) / cells, kernel, transpose_b=True)
        gradients = tf.broadcast_to(gradients[:, tf.newaxis, tf.newaxis], tf.shape(activations))
        raw = self._method.combine(activations, gradients)
        heatmaps = tf.cast(tf.round(self._postprocess(raw) * 255.0), tf.uint8)
        missing = self._size - tf.shape(logits)[0]
        self._logits.assign(tf.pad(logits, [[0, missing], [0, 0]]))
        self._heatmaps.assign(tf.pad(heatmaps, [[0, missing], [0, 0], [0, 0]]))
