"""Trial training steps: correct gradients, and all variables restored."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from proxy_keras.training.trial_steps import make_step, preserve_variables


def linear() -> keras.Model:
    """Return a model of one-pixel images whose two logits start at 0."""
    return keras.Sequential(
        [
            keras.Input((1, 1, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(2, kernel_initializer="zeros", dtype="float32"),
        ]
    )


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_step_descends_the_loss_by_hand(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    model = linear()
    step = make_step(
        model,
        keras.optimizers.SGD(1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    loss = step(np.full((2, 1, 1, 1), 3.0, np.float32), np.array([0, 0], np.int32))
    assert float(loss) == pytest.approx(np.log(2.0))
    # The gradient of the logits is softmax minus one-hot: (-1/2, 1/2).
    np.testing.assert_allclose(model.get_weights()[0], [[1.5, -1.5]])
    np.testing.assert_allclose(model.get_weights()[1], [0.5, -0.5])


def test_frozen_weights_stay_and_others_move() -> None:
    model = keras.Sequential(
        [
            keras.Input((1, 1, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
            keras.layers.Dense(2),
        ]
    )
    model.layers[1].trainable = False
    frozen, free = (layer.kernel.numpy() for layer in model.layers[1:])
    make_step(
        model,
        keras.optimizers.SGD(1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )(np.ones((2, 1, 1, 1), np.float32), np.array([0, 0], np.int32))
    np.testing.assert_array_equal(model.layers[1].kernel.numpy(), frozen)
    assert not np.allclose(model.layers[2].kernel.numpy(), free)


def test_variables_are_restored_even_after_an_error() -> None:
    model = linear()
    with pytest.raises(RuntimeError, match="halfway"), preserve_variables(model):
        model.layers[-1].kernel.assign([[7.0, 7.0]])
        raise RuntimeError("halfway")
    np.testing.assert_array_equal(model.get_weights()[0], [[0.0, 0.0]])
