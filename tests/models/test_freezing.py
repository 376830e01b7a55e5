"""Freezing: only the last layer learns, and all others run as in inference."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from proxy_keras.models import build_model, freeze_backbone, unfreeze
from proxy_keras.models.cut import last_cut

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


def _train(model: keras.Model, images: np.ndarray = IMAGES) -> None:
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, np.arange(8) % 2, verbose=0)


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
    assert last_cut(model).layer.name == "answers"
    np.testing.assert_array_equal(model(IMAGES, training=True), expected)
    _train(model)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert [v.name for v, is_new in zip(model.weights, changed, strict=True) if is_new] == [
        *("kernel", "bias")
    ]
    assert [v.path for v in model.trainable_variables] == [
        v.path for v in last_cut(model).layer.weights
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


STAGES = {
    # Parameters of the last stage of three convolutions, and of the head.
    ("resnet20", "stage3"): 9 * (32 * 64 + 5 * 64 * 64) + 6 * 2 * 64 + 130,
    ("small_cnn", "block3"): 9 * 64 * 128 + 2 * 128 + 258,
}


@pytest.mark.parametrize(("name", "stage"), STAGES)
def test_a_stage_and_all_after_it_are_trained(name: str, stage: str) -> None:
    model = build_model(name, num_classes=2, image_size=16)
    before = model.get_weights()
    freeze_backbone(model, before=stage)
    trained = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert trained == STAGES[name, stage]
    _train(model, np.zeros((8, 16, 16, 3), np.float32))
    for weight, old in zip(model.weights, before, strict=True):
        # Also the moving averages of frozen layers stay, and those of the others do not.
        assert np.array_equal(weight, old) != weight.path.startswith((stage, "logits"))
    freeze_backbone(model)
    assert [v.path for v in model.trainable_variables] == ["logits/kernel", "logits/bias"]


def test_a_stage_in_a_nested_model_is_trained_and_the_rest_runs_as_in_inference() -> None:
    model = _nested()
    convolution = model.layers[1].layers[1].name
    freeze_backbone(model, before=model.layers[1].layers[2].name)
    # Scale and offset of the normalisation, and the head.
    assert [v.name for v in model.trainable_variables] == ["gamma", "beta", "kernel", "bias"]
    outputs = [model(IMAGES, training=True) for _ in range(2)]
    assert not np.array_equal(*outputs)
    with pytest.raises(
        ValueError, match=f"Nothing with weights comes before layer '{convolution}'"
    ):
        freeze_backbone(model, before=convolution)
    # A name that cannot be used leaves the model as it was.
    assert len(model.trainable_variables) == 4


def test_a_subclassed_model_is_refused() -> None:
    class Own(keras.Model):
        def call(self, images: object) -> object:
            return images

    with pytest.raises(ValueError, match="subclassed model.*Received: Own"):
        freeze_backbone(Own())
