"""Freezing: only the last layer learns, and all others run as in inference."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from proxy_keras.models import build_model, freeze_backbone, unfreeze
from proxy_keras.models.freezing import last_layer

IMAGES = np.random.default_rng(0).uniform(0, 255, (8, 8, 8, 3)).astype(np.float32)


def _nested() -> keras.Model:
    """Return a network in parts, with layers that are random in training."""
    backbone = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.RandomFlip(),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
        ]
    )
    head = keras.Sequential(
        [
            keras.Input((4,)),
            layers.GaussianNoise(1.0),
            layers.Dense(3, name="answers"),
            layers.Activation("linear"),
        ]
    )
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, head(layers.GlobalAveragePooling2D()(backbone(inputs))))


def _train(model: keras.Model) -> None:
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(IMAGES, np.arange(8) % 2, verbose=0)


def test_the_head_alone_is_trained_and_batch_statistics_stay() -> None:
    model = build_model("resnet20", num_classes=2, image_size=16)
    freeze_backbone(model)
    assert [v.path for v in model.trainable_variables] == ["logits/kernel", "logits/bias"]
    unfreeze(model)
    assert len(model.trainable_variables) == 3 * 19 + 2


def test_frozen_layers_run_as_in_inference_until_they_are_unfrozen() -> None:
    model = _nested()
    before = model.get_weights()
    expected = model(IMAGES, training=False)
    freeze_backbone(model)
    assert last_layer(model).name == "answers"
    np.testing.assert_array_equal(model(IMAGES, training=True), expected)
    _train(model)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert [v.name for v, is_new in zip(model.weights, changed, strict=True) if is_new] == [
        *("kernel", "bias")
    ]
    assert [v.path for v in model.trainable_variables] == [
        v.path for v in last_layer(model).weights
    ]
    unfreeze(model)
    assert len(model.trainable_variables) == 6
    assert not np.allclose(model(IMAGES, training=True), model(IMAGES, training=False))


def test_a_frozen_network_is_saved_without_its_freezing(tmp_path) -> None:
    model = _nested()
    freeze_backbone(model)
    model.save(tmp_path / "model.keras")
    saved = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        saved(IMAGES, training=False), model(IMAGES, training=False), atol=1e-4
    )
    assert not np.allclose(saved(IMAGES, training=True), saved(IMAGES, training=False))


def test_another_head_can_be_named() -> None:
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2, name="one"), layers.Dense(2)])
    with pytest.raises(ValueError, match="no layer 'logits'.*Pass for example head='dense"):
        freeze_backbone(model, head="logits")
    freeze_backbone(model, head="one")
    assert [layer.trainable for layer in model.layers] == [True, False]


def test_a_subclassed_model_is_refused() -> None:
    class Own(keras.Model):
        def call(self, images: object) -> object:
            return images

    with pytest.raises(ValueError, match="subclassed model.*Received: Own"):
        freeze_backbone(Own())
