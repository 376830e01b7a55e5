"""Checkpoints: complete or absent, and the full state restored."""

import keras
import numpy as np
import pytest

from proxy_keras.training.checkpoint import Checkpoint, CheckpointFolder


def _model(units=2, seed=0):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(units), keras.layers.Dropout(0.5)]
    )
    model.compile(keras.optimizers.AdamW(0.1), "mse")
    return model


def _trained(model, steps=3):
    for _ in range(steps):
        model.train_on_batch(np.ones((4, 3)), np.zeros((4, 2)))
    return model


def _of(model, epoch=1):
    return Checkpoint(
        epoch,
        [np.asarray(v) for v in model.variables],
        [np.asarray(v) for v in model.optimizer.variables],
        {"positions": np.array([1, 2], np.int32)},
        {"history": [{"epoch": 1, "loss": 0.1}], "best": -np.inf},
    )


def test_restored_training_is_bit_identical(tmp_path):
    whole = _trained(_trained(_model()))
    half = _trained(_model())
    CheckpointFolder(tmp_path / "c").add(_of(half))
    other = _model(seed=1)
    checkpoint = CheckpointFolder(tmp_path / "c").latest()
    checkpoint.restore(other, None)
    _trained(other)
    pairs = [(whole.variables, other.variables)]
    pairs.append((whole.optimizer.variables, other.optimizer.variables))
    for expected, got in pairs:
        for one, two in zip(expected, got, strict=True):
            np.testing.assert_array_equal(one, two)  # the dropout's seed state is among them
    np.testing.assert_array_equal(checkpoint.proxies["positions"], [1, 2])
    assert checkpoint.rest == {"history": [{"epoch": 1, "loss": 0.1}], "best": -np.inf}


def test_newest_complete_checkpoint_counts_and_is_kept(tmp_path):
    folder = CheckpointFolder(tmp_path)
    assert folder.latest() is None
    model = _trained(_model())
    for epoch in range(1, 5):
        folder.add(_of(model, epoch))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["epoch_0004"]
    # A crash leaves a folder that was not renamed yet.
    (tmp_path / "epoch_0005.unfinished").mkdir()
    (tmp_path / "epoch_0005.unfinished" / "weights.npz").write_bytes(b"half")
    assert folder.latest().epoch == 4
    folder.add(_of(model, 5))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["epoch_0005"]


def test_checkpoint_of_another_model_is_refused(tmp_path):
    checkpoint = _of(_trained(_model()))
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other.compile(keras.optimizers.AdamW(0.1), "mse")
    with pytest.raises(ValueError, match="is of another model"):
        checkpoint.restore(other, None)
