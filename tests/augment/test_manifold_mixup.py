"""Manifold Mixup: only the drawn layer and the labels are mixed."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from proxy_keras import augment, build_model
from proxy_keras.augment.manifold_mixup import LatentMixing, mixable_layers
from tests.augment.map_batches import coloured, seed


def _model():
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="cells")(
        keras.layers.Rescaling(0.01)(image)
    )
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(3, name="logits")(x))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.5), loss)
    return model


def _drawn(mixing, epoch, batch, count):
    """The layer's index, lambda and partners of a step, from `draw`."""
    place, weight, key = mixing.draw(epoch, batch)
    draw = tf.random.stateless_uniform([count], tf.constant([key, batch], tf.int64))
    return place, weight, tf.argsort(draw)


def test_a_step_trains_on_mixed_activations_and_labels():
    images, labels = coloured(n=6, side=8)
    trained, by_hand = _model(), _model()
    mixing = LatentMixing(["input", "cells"], seed=7)
    data = tf.data.Dataset.from_tensors((images, labels))
    trained.fit(data, epochs=4, verbose=0, shuffle=False, callbacks=[mixing])
    assert "train_step" not in vars(trained) and "call" not in vars(trained.get_layer("cells"))
    cells = keras.Model(by_hand.inputs, by_hand.get_layer("cells").output)
    places = set()
    for epoch in range(4):
        place, weight, partner = _drawn(mixing, epoch, 0, 6)
        places.add(place)

        def mix(values, weight=weight, partner=partner):
            return weight * values + (1 - weight) * tf.gather(values, partner)

        with tf.GradientTape() as tape:
            activations = cells(mix(images) if place == 0 else images)
            activations = mix(activations) if place == 1 else activations
            logits = by_hand.get_layer("logits")(tf.reduce_mean(activations, axis=[1, 2]))
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(mix(labels), logits))
        gradients = tape.gradient(loss, by_hand.trainable_variables)
        for variable, gradient in zip(by_hand.trainable_variables, gradients, strict=True):
            variable.assign_sub(0.5 * gradient)
    assert places == {0, 1}
    for one, two in zip(trained.variables[:4], by_hand.variables[:4], strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_each_replica_mixes_its_own_part(mirrored):
    images, labels = coloured(n=8, side=8)
    with mirrored.scope():
        model = _model()
    mixing = LatentMixing(["cells"], seed=3)
    data = tf.data.Dataset.from_tensors((images, labels)).unbatch().batch(8)
    model.fit(data, epochs=1, verbose=0, shuffle=False, callbacks=[mixing])
    by_hand = _model()
    cells = keras.Model(by_hand.inputs, by_hand.get_layer("cells").output)
    with tf.GradientTape() as tape:
        losses = []
        for part in (slice(0, 4), slice(4, 8)):
            _, weight, partner = _drawn(mixing, 0, 0, 4)
            mixed = [
                weight * values + (1 - weight) * tf.gather(values, partner)
                for values in (cells(images[part]), labels[part])
            ]
            logits = by_hand.get_layer("logits")(tf.reduce_mean(mixed[0], axis=[1, 2]))
            losses.append(tf.nn.softmax_cross_entropy_with_logits(mixed[1], logits))
        loss = tf.reduce_mean(losses)
    for variable, gradient, trained in zip(
        by_hand.trainable_variables,
        tape.gradient(loss, by_hand.trainable_variables),
        model.trainable_variables,
        strict=True,
    ):
        np.testing.assert_allclose(trained, variable - 0.5 * gradient, atol=1e-5)


def test_draws_depend_on_seed_epoch_and_batch_alone():
    mixing, other = LatentMixing(["input"], seed=1), LatentMixing(["input"], seed=2)
    mixing._mixed_layers = other._mixed_layers = [None] * 3
    assert mixing.draw(4, 2) == mixing.draw(4, 2) != mixing.draw(4, 3)
    assert mixing.draw(4, 2) != mixing.draw(5, 2) != other.draw(5, 2)
    never = LatentMixing(["input"], probability=0.0)
    never._mixed_layers = [None]
    assert all(never.draw(0, batch)[1] == 1.0 for batch in range(5))
    half = LatentMixing(["input"], probability=0.5)
    half._mixed_layers = [None]
    assert 10 < sum(half.draw(0, batch)[1] == 1.0 for batch in range(40)) < 30


def test_at_probability_0_training_is_plain():
    images, labels = coloured(n=6, side=8)
    models = _model(), _model()
    for model, callbacks in zip(models, ([], [LatentMixing(probability=0.0)]), strict=True):
        model.fit(images, labels, epochs=2, verbose=0, shuffle=False, callbacks=callbacks)
    for one, two in zip(models[0].variables, models[1].variables, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_as_a_layer_it_mixes_the_images():
    images, labels = coloured(n=4, classes=4)
    made, mixed = augment.get("manifold_mixup")(images, labels, seed())
    want = tf.einsum("bk,khwc->bhwc", mixed, images)
    np.testing.assert_allclose(made, want, atol=1e-3)
    callback = augment.parse("manifold_mixup:alpha=1.5,probability=0.5").callback(3)
    assert (callback._alpha, callback._probability, callback._seed) == (1.5, 0.5, 3)


def test_mixable_layers_are_found():
    assert mixable_layers(build_model("resnet20", num_classes=2, image_size=16)) == (
        *("input", "stage1_block3_relu", "stage2_block3_relu"),
    )


def test_unsuitable_models_and_labels_are_refused():
    images, labels = coloured(n=4, side=8)
    with pytest.raises(ValueError, match="no layer cell. It has: .*cells"):
        _model().fit(images, labels, verbose=0, callbacks=[LatentMixing(["cell"])])
    with pytest.raises(ValueError, match="one-hot labels"):
        _model().fit(images, tf.range(4), verbose=0, callbacks=[LatentMixing()])
    model = _model()
    model.compile("sgd", "mse", steps_per_execution=2)
    with pytest.raises(ValueError, match="steps_per_execution=1"):
        model.fit(images, labels, verbose=0, callbacks=[LatentMixing()])
    with pytest.raises(ValueError, match="at least one layer"):
        LatentMixing([])


class Interrupted(keras.callbacks.Callback):
    """Interrupts training like Ctrl-C, before or after a step."""

    def __init__(self, moment):
        super().__init__()
        setattr(self, moment, self._stop)

    def _stop(self, *_, **__):
        raise KeyboardInterrupt


@pytest.mark.parametrize("moment", ["on_train_batch_begin", "on_train_batch_end"])
def test_training_after_an_interrupted_run_is_not_mixed(moment):
    images, labels = coloured(n=6, side=8)
    data = tf.data.Dataset.from_tensors((images, labels))
    broken, plain = _model(), _model()
    with pytest.raises(KeyboardInterrupt):
        broken.fit(
            data, verbose=0, shuffle=False, callbacks=[LatentMixing(["cells"]), Interrupted(moment)]
        )
    broken.set_weights(plain.get_weights())
    for model in (broken, plain):
        model.fit(data, verbose=0, shuffle=False)
    for one, two in zip(broken.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert "train_step" not in vars(broken) and "call" not in vars(broken.get_layer("cells"))


def test_a_callback_can_be_reused_after_an_interruption_but_not_doubled():
    images, labels = coloured(n=6, side=8)
    data = tf.data.Dataset.from_tensors((images, labels))
    broken, whole = _model(), _model()
    mixing = LatentMixing(["cells"])
    with pytest.raises(KeyboardInterrupt):
        broken.fit(
            data, verbose=0, shuffle=False, callbacks=[mixing, Interrupted("on_train_batch_begin")]
        )
    broken.fit(data, verbose=0, shuffle=False, callbacks=[mixing])
    whole.fit(data, verbose=0, shuffle=False, callbacks=[LatentMixing(["cells"])])
    for one, two in zip(broken.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match="Only one LatentMixing"):
        whole.fit(data, verbose=0, shuffle=False, callbacks=[LatentMixing(), LatentMixing()])
    with pytest.raises(ValueError, match="`seed` must be a whole number >= 0"):
        LatentMixing(seed=-1)
