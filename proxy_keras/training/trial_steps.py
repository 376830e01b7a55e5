"""Trial training steps that leave the model unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf


@contextmanager
def preserve_variables(model: keras.Model) -> Iterator[None]:
    """Restore all variables on exit: weights, moving averages and random states.

    Works in place: a copy would double the memory, and not every model can be copied.
    """
    before = [variable.numpy() for variable in model.variables]
    try:
        yield
    finally:
        for variable, value in zip(model.variables, before, strict=True):
            variable.assign(value)


def make_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss: keras.losses.Loss,
) -> Callable[[Any, Any], tf.Tensor]:
    """Return a compiled function of (images, labels) that trains one step and returns the loss.

    It ignores the model's compile settings, and is traced once for all batch sizes.

    Args:
        model: Takes [B, H, W, C] images.
        optimizer: Used by this function only; wrapped for loss scaling under `mixed_float16`.
        loss: A loss of (labels [B] int32, model output).
    """
    if model.dtype_policy.name == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    images_spec = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)

    @tf.function(input_signature=[images_spec, tf.TensorSpec((None,), tf.int32)])
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            value = loss(labels, model(images, training=True))
            scaled = optimizer.scale_loss(value)
        gradients = tape.gradient(scaled, [v.value for v in model.trainable_variables])
        optimizer.apply(gradients, model.trainable_variables)
        return value

    return step
