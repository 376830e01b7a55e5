"""Curriculum: strength by epoch and by loss, in the pipeline and after resuming."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras import ImageData, augment
from proxy_keras.augment import Curriculum, CurriculumClock
from proxy_keras.settings import DataConfig, TrainConfig
from proxy_keras.training.fitting import augmentation

SEED = tf.constant([3, 0], tf.int64)


def curriculum(**options) -> Curriculum:
    return Curriculum(of=augment.get("sample_pairing"), **options)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("linear", [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]),
        ("cosine", [0.0, 0.1464466, 0.5, 0.8535534, 1.0, 1.0]),
        ("step", [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]),
    ],
)
def test_shapes_over_4_epochs(shape, expected):
    layer = curriculum(shape=shape, epochs=4)
    np.testing.assert_allclose([layer.strength(e) for e in range(6)], expected, atol=1e-6)
    falling = curriculum(shape=shape, epochs=4, start=0.8, end=0.2)
    np.testing.assert_allclose(
        [falling.strength(e) for e in range(6)], 0.8 - 0.6 * np.array(expected), atol=1e-6
    )


@settings(max_examples=30, deadline=None)
@given(
    shape=st.sampled_from(["linear", "cosine", "step"]),
    epochs=st.integers(1, 50),
    epoch=st.integers(0, 100),
)
def test_a_rising_strength_never_falls(shape, epochs, epoch):
    layer = curriculum(shape=shape, epochs=epochs)
    now, then = float(layer.strength(epoch)), float(layer.strength(epoch + 1))
    assert 0.0 <= now <= then + 1e-6 <= 1.0 + 1e-6


def test_the_strength_is_the_chance_that_an_image_is_changed():
    images = tf.constant(np.random.default_rng(0).uniform(0, 255, (200, 2, 2, 3)), tf.float32)
    labels = tf.ones([200, 1])
    layer = curriculum(epochs=4)
    shares = [
        np.any(layer(images, labels, SEED, epoch=e)[0] != images, axis=(1, 2, 3)).mean()
        for e in (0, 2, 4)
    ]
    assert shares[0] == 0.0 and 0.4 < shares[1] < 0.6 and shares[2] > 0.99
    with pytest.raises(ValueError, match="needs `epoch`"):
        layer(images, labels, SEED)


def test_the_pipeline_passes_the_epoch():
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    known = {image.tobytes() for image in images}
    steps = augment.Compose([augment.FlipAndRotate(0.0, 0.0), curriculum(epochs=1, shape="step")])
    data = ImageData.from_arrays(images, np.arange(40) % 2, progress=False).train
    batches = data.batches(16, one_hot=True, augment=steps)
    unchanged = []
    for epoch in (0, 1, 0):
        data.clock.begin(epoch)
        made = np.concatenate([x.numpy() for x, _ in batches])
        unchanged.append(np.mean([image.astype(np.uint8).tobytes() in known for image in made]))
    # An image that is its own partner is unchanged.
    assert unchanged[0] == unchanged[2] == 1.0 and unchanged[1] < 0.2


def test_the_clock_sets_the_strength_by_loss_and_restores_its_state():
    layer = curriculum(shape="loss", loss_at_start=2.0, loss_at_end=1.0, end=0.5)
    clock, logs = CurriculumClock(layer), {"loss": 1.5}
    assert float(layer.strength(0)) == 0.0
    clock.on_epoch_end(0, logs)
    assert float(layer.strength(0)) == logs["curriculum"] == 0.25
    clock.on_epoch_end(1, {"loss": 0.1})
    assert float(layer.strength(0)) == 0.5
    resumed = curriculum(shape="loss", end=0.5)
    CurriculumClock(resumed).set_state(clock.get_state())
    assert float(resumed.strength(0)) == 0.5


def test_the_strength_by_loss_reaches_an_existing_pipeline():
    layer = curriculum(shape="loss")
    images = tf.constant(np.random.default_rng(0).uniform(0, 255, (8, 2, 2, 3)), tf.float32)
    batches = tf.data.Dataset.from_tensors((images, tf.eye(8)))
    batches = batches.map(lambda x, y: layer(x, y, SEED))
    assert np.array_equal(next(iter(batches))[0], images)
    CurriculumClock(layer).on_epoch_end(0, {"loss": 0.1})
    assert not np.array_equal(next(iter(batches))[0], images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": "sine"}, "`shape` must be one of linear, cosine, step, loss"),
        ({"epochs": 0}, "`epochs` must be a whole number >= 1"),
        ({"start": -1}, "`start` must be in"),
        ({"loss_at_start": 1.0, "loss_at_end": 1.0}, "must differ"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        curriculum(**options)


def test_a_curriculum_by_loss_is_refused_on_the_command_line():
    config = TrainConfig(DataConfig("digits"), augment=("curriculum:of=cutmix,shape=loss",))
    with pytest.raises(ValueError, match="which only a CurriculumClock in Python passes on"):
        augmentation(config)


def test_nested_curricula_and_clocks_without_loss_are_refused():
    with pytest.raises(ValueError, match="an augmentation that does not need `epoch`"):
        Curriculum(of=curriculum())
    with pytest.raises(ValueError, match="A 'linear' curriculum needs none"):
        CurriculumClock(curriculum())
    with pytest.raises(ValueError, match="`monitor` must be one of loss. Received: 'val_loss'"):
        CurriculumClock(curriculum(shape="loss"), "val_loss").on_epoch_end(0, {"loss": 1.0})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("curriculum:of=manifold_mixup",), "mixes inside the network and cannot be wrapped"),
        (("manifold_mixup", "manifold_mixup:alpha=1"), "manifold_mixup can be given once"),
    ],
)
def test_manifold_mixup_can_be_neither_wrapped_nor_repeated(words, message):
    with pytest.raises(ValueError, match=message):
        augmentation(TrainConfig(DataConfig("digits"), augment=words))
