"""SMOTE: images interpolated between neighbours of a class."""

from __future__ import annotations

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE

from proxy_keras.augment.smote import smote

DRAW = np.random.default_rng(0)
IMAGES = DRAW.uniform(0, 255, (12, 3, 4, 3)).astype(np.float32)
LABELS = np.array([0] * 8 + [1] * 4)


def test_on_pixels_it_matches_imbalanced_learn():
    made, labels = smote(IMAGES, LABELS, neighbours=3, seed=5)
    expected, classes = SMOTE(k_neighbors=3, random_state=5).fit_resample(
        IMAGES.reshape(12, -1).astype(np.float64), LABELS
    )
    np.testing.assert_allclose(made.reshape(16, -1), expected, rtol=1e-5)
    np.testing.assert_array_equal(labels, classes)
    np.testing.assert_array_equal(np.bincount(labels), [8, 8])


def test_pixels_of_neighbours_in_feature_space_are_mixed():
    features = np.zeros([12, 1])
    # Images 8 and 9 are neighbours, and so are 10 and 11.
    features[8:, 0] = [0.0, 0.1, 50.0, 50.1]
    made, _ = smote(IMAGES, LABELS, features=features, neighbours=1, seed=1)
    for new in made[12:]:
        weights = []
        for a, b in ((8, 9), (10, 11)):
            way = IMAGES[b] - IMAGES[a]
            weight = np.sum((new - IMAGES[a]) * way) / np.sum(way * way)
            if np.allclose(new, IMAGES[a] + weight * way, atol=1e-2):
                weights.append(weight)
        assert len(weights) == 1 and 0.0 <= weights[0] <= 1.0


def test_results_depend_on_the_seed_and_keep_the_dtype():
    bytes_ = IMAGES.astype(np.uint8)
    one, other, third = (smote(bytes_, LABELS, seed=s)[0] for s in (1, 1, 2))
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, third)
    np.testing.assert_array_equal(one[:12], bytes_)


def test_balanced_classes_are_unchanged():
    made, labels = smote(IMAGES[:8], np.arange(8) % 2)
    assert len(made) == len(labels) == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": LABELS[:5]}, "must have the same length"),
        ({"neighbours": 0}, "`neighbours` must be >= 1"),
        ({"labels": np.array([0] * 11 + [3])}, "Class 3 has only one image"),
    ],
)
def test_unsuitable_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        smote(**{"images": IMAGES, "labels": LABELS, **arguments})


def test_small_classes_do_not_reduce_the_neighbours_of_others():
    # A class of two, and a class of nine in a row with four neighbours to draw from.
    places = np.concatenate([np.arange(20.0), 100 + np.arange(9.0), [200.0, 201.0]])
    labels = np.repeat([0, 1, 2], [20, 9, 2])
    # Each image has its own non-zero pixel, which identifies the two that were mixed.
    images = np.eye(31)[:, None, :, None]
    made, classes = smote(images, labels, features=places[:, None], neighbours=4)
    pairs = [np.flatnonzero(new) for new in made[31:].reshape(-1, 31)[classes[31:] == 1]]
    apart = {int(pair.max() - pair.min()) for pair in pairs}
    assert max(apart) > 1 and max(apart) <= 4
