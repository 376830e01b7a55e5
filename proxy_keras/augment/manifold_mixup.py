"""Manifold Mixup: images mixed at a random layer inside the network as it trains."""

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
"""Stands for the images themselves among the names of layers."""


@keras.saving.register_keras_serializable("proxy_keras")
class ManifoldMixup(BatchLayer):
    """Images mixed at a layer of the network that is drawn in each step; labels by weight.

    A layer on batches sees images alone, so it mixes these, the paper's layer 0. What mixes at
    hidden layers too is its `callback()`, given to `fit` in its place; `train --aug` does so.

    Args:
        layers: See `LatentMixing`.
        alpha: Of the Beta(alpha, alpha) distribution of the weight, > 0; the paper's is 2.

    Raises:
        ValueError: An option breaks its rule.

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
        """See `BatchLayer`."""
        images, labels, _ = batch
        of_weight, of_partner = split_seed(seed, 2)
        count = tf.shape(images)[0]
        weight = tf.repeat(beta([1], of_weight, self.alpha), count)
        partner = partners(count, of_partner)
        return mix(images, tf.gather(images, partner), weight), mix(
            labels, tf.gather(labels, partner), weight
        )

    def callback(self, seed: int) -> LatentMixing:
        """What mixes at hidden layers, to be given to `fit`; `seed` keys it unless it has its own.

        Its `probability` is the chance that a step is mixed.
        """
        return LatentMixing(
            self.layers,
            alpha=self.alpha,
            probability=self.probability,
            seed=seed if self.seed is None else self.seed,
        )


class LatentMixing(keras.callbacks.Callback):
    """Has `fit` mix each batch at one layer, drawn anew in each step; labels by the same weight.

    In each training step one of the layers, a weight lambda of Beta(alpha, alpha) and a permutation
    of the batch are drawn; the layer's outputs h become `lambda h + (1 - lambda) h[permutation]`,
    and the labels likewise. The draws depend on (seed, epoch, batch) alone, so a training that is
    resumed goes on the same. Evaluation and answers are not touched.

    ```python
    batches = data.train.batches(64, one_hot=True)
    model.fit(batches, epochs=20, callbacks=[LatentMixing(["input", "stage1_out"])])
    ```

    Args:
        layers: Names of layers of the model, each with one output, of which one is drawn; "input"
            are the images. None: those of `mixable_layers`.
        alpha: > 0; the paper's is 2.
        probability: Chance in [0, 1] that a step is mixed.
        seed: Keys the draws, >= 0.

    Raises:
        ValueError: An option breaks its rule (now); or the model has no such layer, takes several
            steps per call, or labels are not one-hot (when training begins).

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
        # From `set_model` until `fit` makes its step; then it is this callback's own.
        self._is_waiting = False
        # How the step that is being made mixes: replicas are made in threads of their own.
        self._step = threading.local()

    def set_model(self, model: keras.Model) -> None:
        """Takes the model that `fit` trains, and mixes its next steps."""
        super().set_model(model)
        earlier = getattr(vars(model).get("train_step"), "__self__", None)
        if isinstance(earlier, LatentMixing):
            if earlier is not self and earlier._is_waiting:
                raise ValueError("Only one LatentMixing can mix a training. Give `fit` one.")
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
        self._places = [None if name == IMAGES else known[name] for name in names]
        # Drawn outside the step, for XLA cannot compile draws of the Beta distribution.
        with model.distribute_strategy.scope():
            self._place = tf.Variable(0, trainable=False)
            self._weight = tf.Variable(1.0, trainable=False)
            self._key = tf.Variable(tf.zeros([2], tf.int64), trainable=False)
        for place, layer in enumerate(self._places):
            if layer is not None:
                layer.call = self._wrap_call(layer.call, place)
        model.train_step = self._train_step
        model.make_train_function = self._make_train_function
        model.train_function = None
        self._is_waiting = True

    def _make_train_function(self, force: bool = False) -> Any:
        """Makes the step of a `fit`: of this callback's, or of one that comes after it.

        What interrupts a `fit`, an error or Ctrl-C, leaves the callback no word.
        """
        model = self.model
        if not self._is_waiting:
            self._restore()
        self._is_waiting = False
        return type(model).make_train_function(model, force)

    def _wrap_call(self, call: Callable[..., Any], place: int) -> Callable[..., Any]:
        """A layer's `call`, but that it mixes within a training step."""

        def call_and_mix(*args: Any, **kwargs: Any) -> Any:
            mixed = getattr(self._step, "mixed", None)
            outputs = call(*args, **kwargs)
            return outputs if mixed is None else mixed(outputs, place)

        return call_and_mix

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keys the draws of the epoch."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Draws where the step mixes, by which weight, and what with."""
        place, weight, key = self.draw(self._epoch, batch)
        self._place.assign(place)
        self._weight.assign(weight)
        self._key.assign([key, batch])

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Gives the model its own training step back, and the layers their calls."""
        self._restore()

    def _restore(self) -> None:
        of_model = ((self.model, name) for name in ("train_step", "make_train_function"))
        for owner, name in (*of_model, *((one, "call") for one in self._places)):
            if owner is not None and name in vars(owner):
                delattr(owner, name)
        self.model.train_function = None

    def draw(self, epoch: int, batch: int) -> tuple[int, float, int]:
        """What is drawn for a step: the place among the layers, lambda, and a key."""
        draw = np.random.default_rng([self._seed, epoch, batch])
        place = int(draw.integers(len(self._places)))
        weight = float(draw.beta(self._alpha, self._alpha))
        is_mixed = draw.random() < self._probability
        return place, weight if is_mixed else 1.0, int(draw.integers(2**31))

    def _train_step(self, data: Any) -> Any:
        model = self.model
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if labels is None or labels.shape.rank != 2 or weights is not None:
            raise ValueError(
                "Manifold Mixup mixes labels: give `fit` batches of images and one-hot labels "
                "[B, K], as `batches(..., one_hot=True)` has them, without sample weights."
            )
        chosen, weight = tf.identity(self._place), tf.identity(self._weight)
        # Not by `partners`, which XLA cannot compile either.
        draw = tf.random.stateless_uniform([tf.shape(images)[0]], tf.identity(self._key))
        partner = tf.argsort(draw)

        def mixed(values: tf.Tensor, place: int) -> tf.Tensor:
            # At the places that were not drawn the weight is 1, which changes nothing.
            share = tf.cast(tf.where(chosen == place, weight, 1.0), values.dtype)
            return share * values + (1 - share) * tf.gather(values, partner)

        labels = tf.cast(labels, tf.float32)
        labels = weight * labels + (1.0 - weight) * tf.gather(labels, partner)
        for place, layer in enumerate(self._places):
            if layer is None:
                images = mixed(tf.cast(images, tf.float32), place)
        self._step.mixed = mixed
        try:
            return type(model).train_step(model, (images, labels))
        finally:
            self._step.mixed = None


def mixable_layers(model: keras.Model) -> tuple[str, ...]:
    """ "input", and the last layer at each resolution that images go through, but the last.

    Names of layers of a functional model that give [B, h, w, C] and come after the first weights;
    none in networks of tokens. The last resolution is left out: what follows it is the head.
    """
    by_size: dict[tuple[int, ...], str] = {}
    has_weights = False
    for layer in model.layers:
        has_weights |= bool(layer.weights)
        nodes = layer._inbound_nodes
        if not has_weights or len(nodes) != 1 or len(nodes[0].output_tensors) != 1:
            continue
        shape = nodes[0].output_tensors[0].shape
        # Padding has a size of its own, and gates of channels have 1 x 1: both no place to mix.
        is_padding = isinstance(layer, keras.layers.ZeroPadding2D)
        if len(shape) == 4 and tuple(shape[1:3]) != (1, 1) and not is_padding:
            by_size.pop(tuple(shape[1:3]), None)
            by_size[tuple(shape[1:3])] = layer.name
    return IMAGES, *list(by_size.values())[:-1]
