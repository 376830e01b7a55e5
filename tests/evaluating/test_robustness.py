"""Accuracies on corrupted images equal those computed copy by copy."""

import numpy as np
import pytest

from proxy_keras.evaluating.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from proxy_keras.evaluating.robustness import measure_robustness

LABELS = np.array([0, 1] * 5 + [0])
COPIES = len(CORRUPTIONS) * len(SEVERITIES)


@pytest.fixture
def split(build_split):
    """Return a split of eleven grainy images; bright ones have class 1."""
    draw = np.random.default_rng(0)
    images = draw.normal(110 + 30 * LABELS[:, None, None, None], 30, (11, 16, 16, 3))
    return build_split(np.clip(images, 0, 255).astype(np.uint8), LABELS)


def by_brightness(images):
    bright = images.mean(axis=(1, 2, 3)) - 125.0
    return np.stack([-bright, bright], axis=1)


def test_counted_image_by_image(split):
    sizes = []

    def predict(images):
        sizes.append(len(images))
        return by_brightness(images)

    found = measure_robustness(predict, split, LABELS, batch_size=4, seed=2, progress=False)
    assert sizes == [4] * COPIES * 2 + [3] * COPIES
    images = np.concatenate([images for _, images, _ in split.originals(4).as_numpy_iterator()])
    for name in CORRUPTIONS:
        for row, severity in enumerate(SEVERITIES):
            worse = corrupt(images, name, severity, np.arange(11), seed=2)
            expected = by_brightness(worse).argmax(axis=1) == LABELS
            np.testing.assert_array_equal(found.corrupted[name][row], expected)
            assert found.accuracies[name][row] == expected.mean()
    # This model only uses brightness.
    assert found.accuracies["brightness"][2] < 0.8 < min(found.accuracies["blur"])


def test_the_mean_is_of_all_corruptions_and_severities(split):
    found = measure_robustness(by_brightness, split, LABELS, progress=False)
    everything = [value for values in found.accuracies.values() for value in values]
    assert found.mean_accuracy == pytest.approx(np.mean(everything))
    assert found.shares_right.shape == (11,)
    assert found.to_dict() == {
        "mean_accuracy": found.mean_accuracy,
        "corruptions": found.accuracies,
    }


def test_wrong_labels_are_refused(split):
    with pytest.raises(ValueError, match="one per image"):
        measure_robustness(by_brightness, split, LABELS[:3], progress=False)
