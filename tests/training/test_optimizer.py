"""The thesis's optimizer: its settings, its decay, and loss scaling."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from proxy_keras.training.optimizer import make_optimizer


def tiny_model() -> keras.Model:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])


def test_the_defaults_are_the_thesis_recipe() -> None:
    optimizer = make_optimizer(total_steps=101)
    assert isinstance(optimizer, keras.optimizers.AdamW)
    assert optimizer.weight_decay == 1e-5
    config = optimizer.get_config()["learning_rate"]["config"]
    assert config == {"peak": 2e-3, "total_steps": 101, "warm_up": 0.3}


def test_without_one_cycle_the_rate_is_constant() -> None:
    optimizer = make_optimizer(lr=0.5, total_steps=10, one_cycle=False)
    optimizer.build([keras.Variable(1.0)])
    for _ in range(3):
        optimizer.apply([keras.ops.array(0.0)])
        assert float(optimizer.learning_rate) == 0.5


def test_the_rate_follows_the_steps_taken() -> None:
    optimizer = make_optimizer(lr=0.5, total_steps=11)
    optimizer.build([keras.Variable(1.0)])
    for _ in range(3):
        optimizer.apply([keras.ops.array(0.0)])
    assert float(optimizer.learning_rate) == pytest.approx(1.0)


def test_decay_applies_to_every_variable() -> None:
    kernel, bias = keras.Variable(1.0, name="kernel"), keras.Variable(1.0, name="bias")
    optimizer = make_optimizer(lr=0.1, weight_decay=0.5, total_steps=1, one_cycle=False)
    optimizer.build([kernel, bias])
    optimizer.apply([keras.ops.array(0.0), keras.ops.array(0.0)])
    assert float(kernel) == pytest.approx(1.0 - 0.1 * 0.5)
    assert float(bias) == float(kernel)


def test_keras_scales_the_loss_under_mixed_float16_only() -> None:
    images, labels = np.ones((4, 3), np.float32), np.zeros(4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for policy, scaled in [("mixed_float16", True), ("mixed_bfloat16", False), ("float32", False)]:
        keras.config.set_dtype_policy(policy)
        model = tiny_model()
        model.compile(make_optimizer(total_steps=3), loss)
        before = model.get_weights()
        model.fit(images, labels, epochs=2, verbose=0)
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == scaled
        assert not np.array_equal(model.get_weights()[0], before[0])


def test_variable_names_do_not_depend_on_earlier_optimizers() -> None:
    paths = []
    for _ in range(2):
        optimizer = make_optimizer(total_steps=3)
        optimizer.build(tiny_model().trainable_variables[:0] + [keras.Variable(1.0, name="w")])
        paths.append([variable.path for variable in optimizer.variables])
    assert paths[0] == paths[1]


@pytest.mark.parametrize("arguments", [{"lr": 0.0}, {"weight_decay": -1.0}])
def test_values_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"Received: {next(iter(arguments))}="):
        make_optimizer(total_steps=1, **arguments)
