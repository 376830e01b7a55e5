"""Deletion and insertion against curves computed by hand."""

import numpy as np
import pytest

from proxy_keras.metrics import CompiledClassifier, deletion, insertion

WEIGHTS = np.array([[1.0, 2.0], [-1.0, 0.5]])
IMAGE = np.array([[1.0, 0.5], [0.25, 2.0]], np.float32)[None, ..., None]
# Hottest first: (0, 1), (1, 1), (0, 0), (1, 0).
HEAT = np.array([[[0.3, 1.0], [0.0, 0.6]]])
ORDER = [(0, 1), (1, 1), (0, 0), (1, 0)]


def sigmoid(logit):
    return 1 / (1 + np.exp(-logit))


def expected_curve(start, end):
    """Probabilities as the pixels of `start` become those of `end`, hottest first."""
    image = np.array(start, float)
    curve = [sigmoid((WEIGHTS * image).sum())]
    for pixel in ORDER:
        image[pixel] = end[pixel]
        curve.append(sigmoid((WEIGHTS * image).sum()))
    return np.array(curve)


def area(curve):
    return (curve[:-1] + curve[1:]).mean() / 2


def test_deletion_by_hand(build_linear):
    result = deletion(build_linear(WEIGHTS), IMAGE, HEAT, steps=4)
    expected = expected_curve(IMAGE[0, ..., 0], np.zeros((2, 2)))
    np.testing.assert_allclose(result.shares, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(result.curves, [expected], atol=1e-6)
    np.testing.assert_allclose(result.scores, [area(expected)], atol=1e-6)
    assert result.mean == result.scores[0]


@pytest.mark.parametrize(
    ("baseline", "end"),
    [("black", -1.0), ("white", 3.0), ("mean", IMAGE.mean())],
)
def test_insertion_by_hand_for_every_baseline(build_linear, baseline, end):
    model = build_linear(WEIGHTS)
    result = insertion(model, IMAGE, HEAT, 0, steps=4, baseline=baseline, value_range=(-1.0, 3.0))
    expected = expected_curve(np.full((2, 2), end), IMAGE[0, ..., 0])
    np.testing.assert_allclose(result.curves, [expected], atol=1e-6)
    np.testing.assert_allclose(result.scores, [area(expected)], atol=1e-6)


def test_a_class_that_is_not_predicted_has_its_own_curve(build_linear):
    model = build_linear(WEIGHTS)
    ours = deletion(model, IMAGE, HEAT, [0], steps=4)
    other = deletion(model, IMAGE, HEAT, [1], steps=4)
    np.testing.assert_allclose(other.curves, 1 - ours.curves, atol=1e-6)


def test_insertion_starts_from_the_blurred_image(build_linear):
    model = build_linear(np.arange(16.0).reshape(4, 4) / 1000)
    heat = np.random.default_rng(0).random((1, 4, 4))
    grey = np.full((1, 4, 4, 1), 2.0, np.float32)
    curve = insertion(model, grey, heat, 0, steps=4).curves
    np.testing.assert_allclose(curve, curve[0, 0], atol=1e-6)
    # The spot is on the largest weight, so that spreading it takes from the class.
    grey[0, 3, 3] = 90
    curve = insertion(model, grey, heat, 0, steps=4).curves[0]
    assert 0.5 < curve[0] < curve[-1] - 0.01


def test_steps_that_do_not_divide_the_pixels_end_at_all_of_them(build_linear):
    model = build_linear(np.ones((3, 3)))
    image = np.ones((1, 3, 3, 1), np.float32)
    result = deletion(model, image, np.zeros((1, 3, 3)), 0, steps=2)
    np.testing.assert_allclose(result.shares, [0, 4 / 9, 1])
    np.testing.assert_allclose(result.curves, [sigmoid(np.array([9, 5, 0]))], atol=1e-6)


def test_small_heatmaps_are_enlarged_and_batches_make_no_difference(build_cnn, images):
    classifier = CompiledClassifier(build_cnn())
    heat = np.random.default_rng(0).random((5, 3, 3))
    whole = insertion(classifier, images, heat, steps=7)
    single = [
        insertion(classifier, images[i : i + 1], heat[i : i + 1], steps=7, batch_size=3).scores[0]
        for i in range(5)
    ]
    np.testing.assert_allclose(whole.scores, single, atol=1e-6)
    assert whole.curves.shape == (5, 8)


def test_pixels_of_the_same_heat_come_in_a_seeded_random_order(build_linear):
    model = build_linear(np.arange(64.0).reshape(8, 8) / 500)
    image = np.ones((2, 8, 8, 1), np.float32)
    first = deletion(model, image, np.zeros((2, 8, 8)), 0, steps=8)
    np.testing.assert_array_equal(first.curves[0], first.curves[1])
    again = deletion(model, image, np.zeros((2, 8, 8)), 0, steps=8)
    np.testing.assert_array_equal(again.curves, first.curves)
    other = deletion(model, image, np.zeros((2, 8, 8)), 0, steps=8, seed=1)
    assert np.abs(other.curves - first.curves).max() > 1e-3
    # A blank map is in between the best and the worst order.
    best = deletion(model, image[:1], np.arange(64.0).reshape(1, 8, 8), 0, steps=8)
    worst = deletion(model, image[:1], -np.arange(64.0).reshape(1, 8, 8), 0, steps=8)
    assert best.scores[0] < first.scores[0] - 0.02 < worst.scores[0] - 0.04


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "`steps` must be >= 1"),
        ({"baseline": "grey"}, "`baseline` must be one of"),
        ({"value_range": (1.0, 1.0)}, "`value_range` must be"),
        ({"heatmaps": HEAT[0]}, r"\[B, h, w\]"),
        ({"heatmaps": HEAT.repeat(2, axis=0)}, "one heatmap per image"),
        ({"heatmaps": HEAT * np.nan}, "finite"),
    ],
)
def test_wrong_arguments_are_refused(build_linear, options, message):
    arguments = {"images": IMAGE, "heatmaps": HEAT, **options}
    with pytest.raises(ValueError, match=message):
        deletion(build_linear(WEIGHTS), **arguments)
