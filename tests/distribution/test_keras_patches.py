"""The patches of Keras are applied only where needed, and are undone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.backend.tensorflow import trainer

from proxy_keras.distribution import keras_patches


@pytest.fixture
def model(mirrored):
    with mirrored.scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
    return model


def _uneven(mirrored):
    # Three examples, which two replicas cannot share evenly.
    data = np.ones([3, 2], np.float32), np.ones([3, 1], np.float32)
    parts = tf.data.Dataset.from_tensor_slices(data).batch(2)
    dataset = mirrored.distribute_datasets_from_function(lambda _: parts)
    dataset._cardinality = 1
    return dataset


def test_the_question_is_answered_as_keras_behaves(model, mirrored):
    try:
        model.fit(_uneven(mirrored), verbose=0, shuffle=False)
    except (ValueError, tf.errors.InvalidArgumentError):
        fails = True
    else:
        fails = False
    assert keras_patches.averages_batches() == fails


def test_patched_keras_trains_on_uneven_parts(model, mirrored):
    before = trainer.reduce_per_replica, model._maybe_symbolic_build
    with keras_patches.patched(model):
        history = model.fit(_uneven(mirrored), verbose=0, shuffle=False)
    assert np.isfinite(history.history["loss"]).all()
    assert (trainer.reduce_per_replica, model._maybe_symbolic_build) == before


@pytest.mark.parametrize("is_there", [True, False])
def test_a_keras_without_the_bugs_is_left_alone(model, monkeypatch, is_there):
    if is_there:
        monkeypatch.setattr(
            keras.Model,
            "_maybe_symbolic_build",
            lambda self, iterator=None, data_batch=None: self._symbolic_build(data_batch=None),
        )
        monkeypatch.setattr(
            trainer,
            "reduce_per_replica",
            lambda values, strategy, reduction: strategy.reduce("MEAN", values, axis=None),
        )
    else:
        monkeypatch.setattr(keras_patches, "trainer", None)
        monkeypatch.setattr(keras.Model, "_maybe_symbolic_build", None)
    assert not keras_patches.averages_batches()
    assert not keras_patches.averages_scalars_along_an_axis()
    reduce = trainer.reduce_per_replica
    with keras_patches.patched(model):
        assert "_maybe_symbolic_build" not in vars(model)
        assert trainer.reduce_per_replica is reduce


def test_a_keras_that_needs_them_gets_them(model, monkeypatch):
    def average(self, iterator=None, data_batch=None):
        for _, _, batches in iterator:
            self.distribute_strategy.reduce("MEAN", next(batches), axis=None)

    def along_an_axis(values, strategy, reduction):
        return strategy.reduce("MEAN", values, axis=0)

    monkeypatch.setattr(keras.Model, "_maybe_symbolic_build", average)
    monkeypatch.setattr(trainer, "reduce_per_replica", along_an_axis)
    with keras_patches.patched(model):
        assert "_maybe_symbolic_build" in vars(model)
        strategy = keras_patches._RecordingStrategy()
        trainer.reduce_per_replica({"loss": tf.constant(1.0)}, strategy, "auto")
        assert strategy.axes == [None]
        trainer.reduce_per_replica(tf.ones([2]), strategy, "auto")
        assert strategy.axes == [None, 0]
    assert trainer.reduce_per_replica is along_an_axis
