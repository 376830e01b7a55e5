"""Deep Feature Reweighting: the last layer, refitted on equally many examples of each group."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy_keras.robust.groups import UNKNOWN, group_sizes, worst_group_accuracy
from proxy_keras.robust.linear_fit import LinearClassifier, Scaling, fit_linear

AUTO = "auto"
CANDIDATES = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)
"""Values of `c` that are tried, from the weakest penalty to the strongest."""


def balanced_draw(
    groups: NDArray[np.integer], *, count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return ascending positions of equally many examples of each group, drawn at random.

    Args:
        groups: [N] group ids in [0, count), or `UNKNOWN`, which are never drawn.
        count: Number of groups.
        rng: Draws.

    Raises:
        ValueError: A group has no example.
    """
    least = group_sizes(groups, count=count).min()
    drawn = [rng.permutation(np.flatnonzero(groups == group))[:least] for group in range(count)]
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def dfr(
    features: NDArray[np.floating],
    labels: NDArray[np.integer],
    groups: NDArray[np.integer],
    *,
    num_classes: int,
    num_groups: int,
    draws: int = 10,
    c: float | str = AUTO,
    seed: int = 0,
) -> tuple[LinearClassifier, float]:
    """Return the last layer that counts all groups the same, and the penalty that was used.

    Features are scaled by those of all examples. Balanced subsets are drawn; each gives a logistic
    regression with an L1 penalty, and the result is their mean.

    Args:
        features: [N, D], the inputs of the last layer for examples that it was not trained on.
        labels: [N] class ids.
        groups: [N] group ids in [0, G), or -1: unknown, which are left out.
        num_classes: K.
        num_groups: G.
        draws: Number of subsets, >= 1. The paper draws 10 or 20.
        c: Inverse of the penalty, relative to the sum of the losses. "auto": the one of
            `CANDIDATES` that is best for the worst group of half of the examples after a fit on a
            balanced subset of the other half; the weaker penalty of equals.
        seed: Keys the draws.

    Returns:
        The layer for unscaled features, and `c`.

    Raises:
        ValueError: A group or a class has no example, or with "auto", none in a half.

    Source: Kirichenko, Izmailov & Wilson, Last Layer Re-Training is Sufficient for Robustness to
        Spurious Correlations (2023).
    """
    known = groups != UNKNOWN
    group_sizes(groups, count=num_groups)
    values, ids, members = features[known], labels[known], groups[known]
    if isinstance(c, str):
        c = _best(values, ids, members, num_classes=num_classes, num_groups=num_groups, seed=seed)
    scaling = Scaling.of(values)
    scaled = scaling(values)
    fits = []
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        chosen = balanced_draw(members, count=num_groups, rng=rng)
        fits.append(_fit(scaled[chosen], ids[chosen], num_classes=num_classes, c=c))
    mean = LinearClassifier(
        np.mean([fit.kernel for fit in fits], axis=0),
        np.mean([fit.bias for fit in fits], axis=0),
        all(fit.is_converged for fit in fits),
    )
    return scaling.undone(mean), c


def _fit(
    features: NDArray[np.float64], labels: NDArray[np.integer], *, num_classes: int, c: float
) -> LinearClassifier:
    weights = np.ones([len(labels)])
    return fit_linear(features, labels, weights, num_classes=num_classes, l1=1 / (c * len(labels)))


def _best(
    features: NDArray[np.floating],
    labels: NDArray[np.integer],
    groups: NDArray[np.integer],
    *,
    num_classes: int,
    num_groups: int,
    seed: int,
) -> float:
    """Return the candidate with the best worst group of a half that it was not fitted on."""
    # Not a number of a draw.
    rng = np.random.default_rng([seed, 2**32])
    held_out = np.zeros([len(groups)], bool)
    for group in range(num_groups):
        # Halves of each group, so that both halves have all of them.
        order = rng.permutation(np.flatnonzero(groups == group))
        held_out[order[: len(order) // 2]] = True
    fitted = np.flatnonzero(~held_out)
    chosen = fitted[balanced_draw(groups[fitted], count=num_groups, rng=rng)]
    scaling = Scaling.of(features[fitted])
    accuracies = []
    for c in CANDIDATES:
        fit = _fit(scaling(features[chosen]), labels[chosen], num_classes=num_classes, c=c)
        predicted = np.argmax(fit.logits(scaling(features[held_out])), axis=1)
        is_correct = predicted == labels[held_out]
        accuracies.append(worst_group_accuracy(is_correct, groups[held_out], count=num_groups))
    return CANDIDATES[int(np.argmax(accuracies))]
