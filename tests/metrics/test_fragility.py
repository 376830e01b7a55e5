"""Fragility: what is found is small, keeps the class and moves the map as reported."""

import numpy as np
import pytest

from proxy_keras.metrics import (
    ClassExplainer,
    fragility,
    spearman,
    top_k_intersection,
)
from proxy_keras.metrics.fragility import _SQUARES, _signs


@pytest.mark.parametrize("method", ["grad_cam", "brightness"])
def test_perturbations_are_small_keep_the_class_and_move_the_map(build_cnn, images, method):
    model = build_cnn()
    explainer = ClassExplainer(model, method)
    result = fragility(model, images, explainer, epsilon=30.0, steps=12)
    assert np.abs(result.perturbations).max() <= 30
    perturbed = images + result.perturbations
    assert perturbed.min() >= 0 and perturbed.max() <= 255.001
    classes = model.predict(images, verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(model.predict(perturbed, verbose=0).argmax(axis=1), classes)
    np.testing.assert_allclose(result.before, explainer.heatmaps(images, classes), atol=1e-5)
    np.testing.assert_allclose(result.after, explainer.heatmaps(perturbed, classes), atol=1e-5)
    np.testing.assert_allclose(result.spearman, spearman(result.before, result.after))
    np.testing.assert_allclose(
        result.top_k_intersection, top_k_intersection(result.before, result.after)
    )
    assert (result.spearman < 0.999).all()


def test_a_class_that_hangs_by_a_thread_is_kept(build_linear):
    # Class 0 where the left half is the brighter one: any sum of signs decides.
    weights = np.ones((8, 8))
    weights[:, 4:] = -1
    images = np.random.default_rng(0).uniform(50, 200, (6, 8, 8, 1)).astype(np.float32)
    images[:, :, 4:] = images[:, :, :4]
    images[:3, 0, 0] += 1
    images[3:, 0, 0] -= 1
    model = build_linear(weights)
    result = fragility(model, images, "brightness", epsilon=20.0, steps=15)
    perturbed = images + result.perturbations
    np.testing.assert_array_equal(
        model.predict(perturbed, verbose=0).argmax(axis=1), [0, 0, 0, 1, 1, 1]
    )
    assert (result.spearman < 1).all()
    # The same search loses the class of half of them where it does not look at it.
    first = fragility(model, images, "brightness", epsilon=20.0, steps=1)
    assert len({bool(p.any()) for p in first.perturbations}) == 2


def test_more_steps_find_no_less(build_cnn, images):
    model = build_cnn()
    explainer = ClassExplainer(model, "grad_cam")
    few, many = (fragility(model, images, explainer, steps=steps) for steps in (3, 24))
    assert many.spearman.mean() < few.spearman.mean() - 1e-3
    assert (many.spearman <= 1).all()


def test_the_best_whole_pattern_is_improved_in_parts(build_cnn, images):
    result = fragility(build_cnn(), images, "grad_cam", steps=24)
    patterns = [
        _signs(np.random.default_rng([0, step]), (12, 12, 3), _SQUARES[step % 3])
        for step in range(24)
    ]
    shares = []
    for perturbation in result.perturbations:
        is_changed = perturbation != 0
        assert is_changed.mean() > 0.8
        same = [(np.sign(perturbation) == signs)[is_changed].mean() for signs in patterns]
        shares.append(max(same))
    assert min(shares) < 0.97


def test_what_cannot_be_moved_is_left_as_it_is(build_cnn, images):
    result = fragility(build_cnn(), images, "blank", steps=4)
    np.testing.assert_array_equal(result.spearman, 1)
    np.testing.assert_array_equal(result.top_k_intersection, 1)
    np.testing.assert_array_equal(result.perturbations, 0)
    np.testing.assert_array_equal(result.after, result.before)


def test_the_search_is_seeded_and_does_not_depend_on_batches(build_cnn, images):
    model = build_cnn()
    explainer = ClassExplainer(model, "brightness")
    whole = fragility(model, images, explainer, steps=6)
    single = fragility(model, images[2:3], explainer, steps=6)
    np.testing.assert_array_equal(single.perturbations, whole.perturbations[2:3])
    other = fragility(model, images, explainer, steps=6, seed=1)
    assert (other.perturbations != whole.perturbations).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 0.0}, "`epsilon` must be > 0"),
        ({"steps": 0}, "`steps` must be >= 1"),
        ({"value_range": (0.0, 1.0)}, "Images must be within `value_range`"),
        ({"top_share": 2.0}, "`share` must be in"),
    ],
)
def test_wrong_arguments_are_refused(build_cnn, images, options, message):
    with pytest.raises(ValueError, match=message):
        fragility(build_cnn(), images, "blank", **{"steps": 1, **options})
