"""One-cycle schedule at its corners, between them, and in an optimizer."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_keras.training.one_cycle import OneCycle


def test_the_corners_are_exact() -> None:
    schedule = OneCycle(0.1, total_steps=101)
    assert float(schedule(0)) == pytest.approx(0.1 / 25)
    assert float(schedule(30)) == pytest.approx(0.1)
    assert float(schedule(100)) == pytest.approx(0.1 / 25 / 1e4, rel=1e-3)
    assert float(schedule(1000)) == float(schedule(100))


def test_halfway_up_or_down_the_rate_is_the_mean_of_its_ends() -> None:
    schedule = OneCycle(1.0, total_steps=101)
    assert float(schedule(15)) == pytest.approx((1.0 + 1 / 25) / 2)
    assert float(schedule(65)) == pytest.approx((1.0 + 1 / 25e4) / 2)
    # At a third of the way a cosine has risen by a quarter; a straight line by a third.
    assert float(schedule(10)) == pytest.approx(1 / 25 + (1 - 1 / 25) / 4)


def test_the_warm_up_share_moves_the_peak() -> None:
    schedule = OneCycle(1.0, total_steps=11, warm_up=0.5)
    assert np.argmax([float(schedule(step)) for step in range(11)]) == 5


@given(
    peak=st.floats(1e-6, 10.0),
    total_steps=st.integers(1, 400),
    warm_up=st.floats(0.01, 0.99),
)
def test_it_rises_then_falls_and_never_leaves_its_bounds(
    peak: float, total_steps: int, warm_up: float
) -> None:
    schedule = OneCycle(peak, total_steps, warm_up)
    rates = np.asarray(schedule(np.arange(total_steps)))
    assert np.isfinite(rates).all()
    assert rates.max() <= peak * (1 + 1e-6)
    assert rates.min() >= peak / 25e4 * 0.9
    turn = math.ceil(warm_up * (total_steps - 1))
    assert (np.diff(rates[:turn]) >= 0).all() and (np.diff(rates[turn:]) <= 0).all()


def test_a_run_of_one_step_trains_at_the_peak() -> None:
    assert float(OneCycle(0.1, total_steps=1)(0)) == pytest.approx(0.1)


def test_it_survives_serialisation_with_its_optimizer() -> None:
    optimizer = keras.optimizers.Adam(OneCycle(0.1, total_steps=50, warm_up=0.2))
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    config = copy.get_config()["learning_rate"]["config"]
    assert config == {"peak": 0.1, "total_steps": 50, "warm_up": 0.2}
    assert float(copy.learning_rate) == pytest.approx(0.1 / 25)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"peak": 0.0}, "`peak` must be > 0. Received: peak=0.0"),
        ({"total_steps": 0}, "total_steps=0"),
        ({"warm_up": 1.0}, "warm_up=1.0"),
    ],
)
def test_values_out_of_range_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OneCycle(**{"peak": 1.0, "total_steps": 10, **arguments})
