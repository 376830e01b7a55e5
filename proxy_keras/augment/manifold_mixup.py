"""Manifold Mixup: batches mixed at a random layer of the network during training."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.masks import mix
from proxy_keras.augment.option_rules import check_count, check_positive, check_share, items
from proxy_keras.augment.stateless_random import beta, partners, split_seed

IMAGES = "input"
"""Denotes the images themselves among the names of layers."""


@keras.saving.register_keras_serializable("proxy_keras")
class ManifoldMixup(BatchLayer):
    """Images mixed at a layer of the network that is drawn in each step; labels by weight.

    As a layer on batches, it can only mix the images, the paper's layer 0. To mix hidden layers
    too, pass its `callback()` to `fit` instead, as `train --aug` does.

    Args:
        layers: See `LatentMixing`.
        alpha: Parameter of the Beta(alpha, alpha) distribution of the weight, > 0; 2 in the paper.

    Raises:
        ValueError: An option has an invalid value.

    Source: Verma et al., Manifold Mixup (ICML 2019).
    """

    def __init__(
        self, layers: Sequence[str] | None = None, alpha: float = 2.0, **options: Any
    ) -> None:
        check_positive("alpha", alpha)
        if layers is not None and not items(layers):
            raise ValueError(
                "`layers` must be names of layers, such as ('input', 'stage1_out'). Received: "
                f"{layers!r}"
            )
        self.layers = None if layers is None else list(layers)
        self.alpha = alpha
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        of_weight, of_partner = split_seed(seed, 2)
        count = tf.shape(images)[0]
        weight = tf.repeat(beta([1], of_weight, self.alpha), count)
        partner = partners(count, of_partner)
        return mix(images, tf.gather(images, partner), weight), mix(
            labels, tf.gather(labels, partner), weight
        )

    def callback(self, seed: int) -> LatentMixing:
        """Return the callback for `fit` that also mixes hidden layers.

        `seed` is used unless the layer has its own. `probability` is the chance that a step mixes.
        """
        return LatentMixing(
            self.layers,
            alpha=self.alpha,
            probability=self.probability,
            seed=seed if self.seed is None else self.seed,
        )


class LatentMixing(keras.callbacks.Callback):
    """A callback that mixes each batch at a random layer; labels with the same weight.

    Each training step draws one of the layers, a weight lambda from Beta(alpha, alpha) and a
    permutation of the batch; the layer's outputs h become `lambda h + (1 - lambda) h[permutation]`,
    and the labels likewise. The draws depend on (seed, epoch, batch) alone, so resumed training is
    identical. Evaluation and prediction are not affected.

    ```python
    batches = data.train.batches(64, one_hot=True)
    model.fit(batches, epochs=20, callbacks=[LatentMixing(["input", "stage1_out"])])
    ```

    Args:
        layers: Names of layers of the model, each with one output, to draw from; "input" denotes
            the images. None: `mixable_layers` of the model.
        alpha: > 0; 2 in the paper.
        probability: Chance in [0, 1] that a step mixes.
        seed: Seed of the draws, >= 0.

    Raises:
        ValueError: An option has an invalid value (at once); or the model lacks a layer or runs
            several steps per execution, or labels are not one-hot (when training starts).

    Source: Verma et al., Manifold Mixup (ICML 2019). There the layers are chosen by hand.
    """

    def __init__(
        self,
        layers: Sequence[str] | None = None,
        *,
        alpha: float = 2.0,
        probability: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_positive("alpha", alpha)
        check_share("probability", probability)
        check_count("seed", seed)
        if layers is not None and not layers:
            raise ValueError("`layers` must name at least one layer.")
        self._layers = None if layers is None else tuple(layers)
        self._alpha = alpha
        self._probability = probability
        self._seed = seed
        self._epoch = 0
        # True from `set_model` until `fit` builds its training step.
        self._is_pending = False
        # The mixing function of the step being traced; each replica is traced in its own thread.
        self._step = threading.local()

    def set_model(self, model: keras.Model) -> None:
        """Set the model that `fit` trains, and make its training steps mix."""
        super().set_model(model)
        earlier = getattr(vars(model).get("train_step"), "__self__", None)
        if isinstance(earlier, LatentMixing):
            if earlier is not self and earlier._is_pending:
                raise ValueError("Only one LatentMixing can be used per call of `fit`.")
            earlier._restore()
        names = mixable_layers(model) if self._layers is None else self._layers
        known = {layer.name: layer for layer in model.layers}
        if unknown := [name for name in names if name != IMAGES and name not in known]:
            raise ValueError(
                f"The model has no layer {', '.join(unknown)}. It has: {', '.join(known)}."
            )
        if model.steps_per_execution != 1:
            raise ValueError(
                "Manifold Mixup draws before each step, so it needs compile(steps_per_execution=1)."
                f" Received: {model.steps_per_execution}"
            )
        self._mixed_layers = [None if name == IMAGES else known[name] for name in names]
        # Drawn outside the step, because XLA cannot compile draws from the Beta distribution.
        with model.distribute_strategy.scope():
            self._chosen = tf.Variable(0, trainable=False)
            self._weight = tf.Variable(1.0, trainable=False)
            self._key = tf.Variable(tf.zeros([2], tf.int64), trainable=False)
        for index, layer in enumerate(self._mixed_layers):
            if layer is not None:
                layer.call = self._wrap_call(layer.call, index)
        model.train_step = self._train_step
        model.make_train_function = self._make_train_function
        model.train_function = None
        self._is_pending = True

    def _make_train_function(self, force: bool = False) -> Any:
        """Build the training step, without mixing if `fit` runs without this callback.

        An interrupted `fit` (an error or Ctrl-C) never calls `on_train_end`, so the next call of
        `fit` restores the model here.
        """
        model = self.model
        if not self._is_pending:
            self._restore()
        self._is_pending = False
        return type(model).make_train_function(model, force)

    def _wrap_call(self, call: Callable[..., Any], index: int) -> Callable[..., Any]:
        """Return a layer's `call` that mixes its outputs within a training step."""

        def call_and_mix(*args: Any, **kwargs: Any) -> Any:
            mix_at = getattr(self._step, "mix_at", None)
            outputs = call(*args, **kwargs)
            return outputs if mix_at is None else mix_at(outputs, index)

        return call_and_mix

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Remember the epoch, which keys the draws."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Draw the layer, weight and permutation of the step."""
        index, weight, key = self.draw(self._epoch, batch)
        self._chosen.assign(index)
        self._weight.assign(weight)
        self._key.assign([key, batch])

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Restore the model's training step and the layers' calls."""
        self._restore()

    def _restore(self) -> None:
        of_model = ((self.model, name) for name in ("train_step", "make_train_function"))
        for owner, name in (*of_model, *((layer, "call") for layer in self._mixed_layers)):
            if owner is not None and name in vars(owner):
                delattr(owner, name)
        self.model.train_function = None

    def draw(self, epoch: int, batch: int) -> tuple[int, float, int]:
        """Draw the index of the layer, lambda, and the key of the permutation of a step."""
        draw = np.random.default_rng([self._seed, epoch, batch])
        index = int(draw.integers(len(self._mixed_layers)))
        weight = float(draw.beta(self._alpha, self._alpha))
        is_mixed = draw.random() < self._probability
        return index, weight if is_mixed else 1.0, int(draw.integers(2**31))

    def _train_step(self, data: Any) -> Any:
        model = self.model
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if labels is None or labels.shape.rank != 2 or weights is not None:
            raise ValueError(
                "Manifold Mixup mixes labels: `fit` needs batches of images and one-hot labels "
                "[B, K], as from `batches(..., one_hot=True)`, without sample weights."
            )
        chosen, weight = tf.identity(self._chosen), tf.identity(self._weight)
        # Not `partners`, which XLA cannot compile either.
        draw = tf.random.stateless_uniform([tf.shape(images)[0]], tf.identity(self._key))
        partner = tf.argsort(draw)

        def mix_at(values: tf.Tensor, index: int) -> tf.Tensor:
            # At layers that were not drawn the weight is 1, which changes nothing.
            share = tf.cast(tf.where(chosen == index, weight, 1.0), values.dtype)
            return share * values + (1 - share) * tf.gather(values, partner)

        labels = tf.cast(labels, tf.float32)
        labels = weight * labels + (1.0 - weight) * tf.gather(labels, partner)
        for index, layer in enumerate(self._mixed_layers):
            if layer is None:
                images = mix_at(tf.cast(images, tf.float32), index)
        self._step.mix_at = mix_at
        try:
            return type(model).train_step(model, (images, labels))
        finally:
            self._step.mix_at = None


def mixable_layers(model: keras.Model) -> tuple[str, ...]:
    """Return "input" and the name of the last layer at each resolution except the lowest.

    Only layers of a functional model that output [B, h, w, C] and follow the first weights count;
    token-based networks have none. The lowest resolution is excluded, because the head follows it.
    """
    by_size: dict[tuple[int, ...], str] = {}
    has_weights = False
    for layer in model.layers:
        has_weights |= bool(layer.weights)
        nodes = layer._inbound_nodes
        if not has_weights or len(nodes) != 1 or len(nodes[0].output_tensors) != 1:
            continue
        shape = nodes[0].output_tensors[0].shape
        # Padding layers (an odd size) and channel gates (1 x 1) are not suitable.
        is_padding = isinstance(layer, keras.layers.ZeroPadding2D)
        if len(shape) == 4 and tuple(shape[1:3]) != (1, 1) and not is_padding:
            by_size.pop(tuple(shape[1:3]), None)
            by_size[tuple(shape[1:3])] = layer.name
    return IMAGES, *list(by_size.values())[:-1]
