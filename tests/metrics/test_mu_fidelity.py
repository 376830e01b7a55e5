"""MuFidelity: exactly 1 where a linear model is explained exactly."""

import numpy as np
import pytest

from proxy_keras.metrics import CompiledClassifier, mu_fidelity


@pytest.fixture
def linear(build_linear):
    weights = np.random.default_rng(0).normal(size=(6, 6))
    images = np.random.default_rng(1).normal(size=(3, 6, 6, 1)).astype(np.float32)
    return CompiledClassifier(build_linear(weights)), images, images[..., 0] * weights


@pytest.mark.parametrize("grid", [None, 2, 4, 6])
def test_the_exact_attribution_of_a_linear_model_is_wholly_faithful(linear, grid):
    model, images, contributions = linear
    options = {"grid": grid, "output": "logit", "samples": 30}
    # Cells of 6 px divided by 4 are not equal, so that raised heat is no longer the attribution.
    raised = 0 if grid == 4 else 5
    np.testing.assert_allclose(
        mu_fidelity(model, images, contributions, 0, **options), 1, atol=1e-5
    )
    np.testing.assert_allclose(
        mu_fidelity(model, images, raised - 2 * contributions, 0, **options), -1, atol=1e-5
    )


def test_it_is_the_correlation_over_sets_of_cells(build_linear):
    # Two cells of 2x1 pixels; of a half of two cells, one is removed: two sets, correlation +-1.
    model = build_linear([[1.0, 3.0], [1.0, 2.0]])
    images = np.ones((2, 2, 2, 1), np.float32)
    right_is_hot = np.array([[[0.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
    options = {"grid": 2, "share": 0.5, "output": "logit", "samples": 40}
    faithful, opposed = mu_fidelity(model, images, right_is_hot, 0, **options)
    assert faithful > 0.6
    assert opposed == pytest.approx(-faithful)


def test_the_drop_of_the_probability_can_be_used(linear):
    model, images, contributions = linear
    by_probability = mu_fidelity(model, images, contributions, 0, grid=None)
    assert (0.7 < by_probability).all()
    assert (by_probability < 1 - 1e-4).all()


def test_sets_are_seeded_and_do_not_depend_on_batches(linear):
    model, images, contributions = linear
    heat = np.abs(contributions)
    whole = mu_fidelity(model, images, heat, grid=3)
    np.testing.assert_allclose(
        [
            mu_fidelity(model, images[i : i + 1], heat[i : i + 1], grid=3, batch_size=7)[0]
            for i in range(3)
        ],
        whole,
        atol=1e-6,
    )
    assert np.abs(mu_fidelity(model, images, heat, grid=3, seed=1) - whole).max() > 1e-3


def test_a_blank_map_is_not_faithful(linear):
    model, images, contributions = linear
    for heat in (0.0, 0.3):
        result = mu_fidelity(model, images, np.full_like(contributions, heat), grid=3)
        np.testing.assert_array_equal(result, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 1}, "`samples` must be >= 2"),
        ({"grid": 1}, "`grid` must be None or from 2 to 6"),
        ({"grid": 7}, "`grid` must be None or from 2 to 6"),
        ({"share": 0.0}, "`share` must be in"),
        ({"share": 1.0}, "`share` must be in"),
        ({"output": "loss"}, "`output` must be one of"),
    ],
)
def test_wrong_arguments_are_refused(linear, options, message):
    model, images, contributions = linear
    with pytest.raises(ValueError, match=message):
        mu_fidelity(model, images, contributions, **{"grid": 3, **options})
