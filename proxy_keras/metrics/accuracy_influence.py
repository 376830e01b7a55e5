"""The relation between a classifier's accuracy and the quality of its heatmaps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.io.extras import extra
from proxy_keras.metrics.classifier import CompiledClassifier
from proxy_keras.metrics.map_similarity import pearson


@dataclass(frozen=True)
class AccuracyInfluence:
    """The correlation of accuracy and heatmap quality over checkpoints.

    Attributes:
        spearman: Rank correlation in [-1, 1]; 0 if either is constant.
        p_value: Two-sided, in (0, 1], by a permutation test; exact for up to seven checkpoints.
        accuracies: [n], accuracy per checkpoint.
        qualities: [n], heatmap quality per checkpoint.
    """

    spearman: float
    p_value: float
    accuracies: tuple[float, ...]
    qualities: tuple[float, ...]


def accuracy_influence(
    accuracies: Sequence[float] | NDArray[Any],
    qualities: Sequence[float] | NDArray[Any],
    *,
    seed: int = 0,
) -> AccuracyInfluence:
    """Compute the rank correlation of checkpoints' accuracies and heatmap qualities.

    Args:
        accuracies: [n], n >= 3.
        qualities: [n], any measure for which higher is better, such as the mean of `mass_inside`.
        seed: Seed of the permutations, if there are too many to try all.

    Raises:
        ValueError: The lengths differ, there are fewer than three values, or some are not finite.
    """
    pair = np.asarray(accuracies, np.float64), np.asarray(qualities, np.float64)
    if pair[0].ndim != 1 or pair[0].shape != pair[1].shape or len(pair[0]) < 3:
        raise ValueError(
            "There must be one accuracy and one quality for each of at least 3 checkpoints. "
            f"Received: shapes {pair[0].shape} and {pair[1].shape}"
        )
    if not np.isfinite(pair).all():
        raise ValueError("Accuracies and qualities must be finite. Received: NaN or infinity.")
    with extra("evaluate"):
        from scipy.stats import permutation_test, rankdata

    # Twice the centred ranks are integers, so equal sums compare as equal.
    ranks = [2.0 * rankdata(values) - (len(values) + 1) for values in pair]
    is_constant = any(not values.any() for values in ranks)
    p_value = 1.0
    if not is_constant:
        p_value = permutation_test(
            ranks,
            lambda first, second, axis: (first * second).sum(axis=axis),
            permutation_type="pairings",
            vectorized=True,
            n_resamples=9999,
            rng=np.random.default_rng(seed),
        ).pvalue.item()
    correlation = float(pearson(*(values[np.newaxis] for values in ranks))[0])
    return AccuracyInfluence(correlation, p_value, tuple(pair[0].tolist()), tuple(pair[1].tolist()))


def evaluate_checkpoints(
    checkpoints: Iterable[keras.Model | str | Path],
    images: Any,
    labels: Any,
    quality: Callable[[keras.Model], float],
    *,
    load: Callable[[str | Path], keras.Model] = keras.models.load_model,
    batch_size: int = 32,
    seed: int = 0,
) -> AccuracyInfluence:
    """Evaluate every checkpoint, then correlate accuracy with heatmap quality.

    Args:
        checkpoints: Models, or files for `load`; one at a time is in memory.
        images: [B, H, W, C], in the range that the models take.
        labels: [B] integers, the true classes.
        quality: Computes the heatmap quality of a model; higher is better.
        load: Loads a model file.
        batch_size: Images per forward pass, >= 1.
        seed: See `accuracy_influence`.

    Raises:
        ValueError: As for `accuracy_influence`, or images or labels do not match the model.
    """
    accuracies, qualities = [], []
    for checkpoint in checkpoints:
        model = load(checkpoint) if isinstance(checkpoint, str | Path) else checkpoint
        classifier = CompiledClassifier(model)
        batch = classifier.checked_images(images)
        true = classifier.checked_class_ids(labels, batch, batch_size)
        predicted = classifier.logits(batch, batch_size).argmax(axis=1)
        accuracies.append(float(np.mean(predicted == true)))
        qualities.append(float(quality(model)))
    return accuracy_influence(accuracies, qualities, seed=seed)
