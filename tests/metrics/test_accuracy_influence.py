"""The influence of accuracy on maps: correlation, p value, and evaluated checkpoints."""

import numpy as np
import pytest
import scipy.stats

from proxy_keras.metrics import accuracy_influence, evaluate_checkpoints


def test_the_p_value_counts_permutations():
    rising = accuracy_influence([0.1, 0.5, 0.7, 0.9], [1, 2, 3, 4])
    # Of 24 orders one correlates as much, and one the other way round.
    assert (rising.spearman, rising.p_value) == (1, pytest.approx(2 / 24))
    falling = accuracy_influence([0.1, 0.5, 0.7, 0.9], [4, 3, 2, 1])
    assert (falling.spearman, falling.p_value) == (-1, pytest.approx(2 / 24))
    assert rising.accuracies == (0.1, 0.5, 0.7, 0.9)
    assert rising.qualities == (1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize("count", [5, 30])
def test_the_correlation_is_scipys(count):
    first, second = np.random.default_rng(count).integers(0, 8, (2, count)) / 8
    second += first
    ours, theirs = accuracy_influence(first, second), scipy.stats.spearmanr(first, second)
    assert ours.spearman == pytest.approx(theirs.statistic)
    if count == 30:
        assert ours.p_value == pytest.approx(theirs.pvalue, abs=0.02)


def test_the_same_throughout_has_no_influence():
    result = accuracy_influence([0.5, 0.5, 0.5], [1, 2, 3])
    assert (result.spearman, result.p_value) == (0, 1)


def test_checkpoints_are_loaded_and_measured(build_cnn, images, tmp_path):
    models = [build_cnn(seed) for seed in range(4)]
    labels = models[2].predict(images, verbose=0).argmax(axis=1)
    for number in (1, 3):
        models[number].save(tmp_path / f"{number}.keras")
    mixed = [models[0], tmp_path / "1.keras", models[2], str(tmp_path / "3.keras")]

    def quality(model):
        return float(np.abs(model.get_layer("top").kernel.numpy()).max())

    result = evaluate_checkpoints(mixed, images, labels, quality, batch_size=2)
    accuracies = [(m.predict(images, verbose=0).argmax(axis=1) == labels).mean() for m in models]
    assert result.accuracies == pytest.approx(accuracies)
    assert result.accuracies[2] == 1
    assert result.qualities == pytest.approx([quality(model) for model in models])
    assert result.spearman == accuracy_influence(accuracies, result.qualities).spearman


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (([0.1, 0.2], [1, 2]), "at least 3 checkpoints"),
        (([0.1, 0.2, 0.3], [1, 2]), "one accuracy and one quality"),
        (([0.1, 0.2, np.nan], [1, 2, 3]), "must be finite"),
    ],
)
def test_wrong_arguments_are_refused(pair, message):
    with pytest.raises(ValueError, match=message):
        accuracy_influence(*pair)
