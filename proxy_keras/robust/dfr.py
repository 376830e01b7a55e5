"""Deep Feature Reweighting: the last layer, refitted on equally many examples of each group."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.groups import UNKNOWN, Groups
from proxy_keras.robust.groups import group_sizes
from proxy_keras.robust.linear_fit import LinearClassifier, Scaling, fit_linear

AUTO = "auto"
CANDIDATES = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)
"""Values of `c` that are tried, from the weakest penalty to the strongest."""


def balanced_draw(groups: Groups, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return ascending positions of equally many examples of each group, drawn at random.

    Args:
        groups: The groups of the examples; those of unknown groups are never drawn.
        rng: Draws.

    Raises:
        ValueError: A group has no example.
    """
    least = group_sizes(groups).min()
    drawn = [
        rng.permutation(np.flatnonzero(groups.ids == group))[:least]
        for group in range(len(groups.names))
    ]
    return np.sort(np.concatenate(drawn)).astype(np.int64)


def dfr(
    features: NDArray[np.floating],
    labels: NDArray[np.integer],
    groups: Groups,
    *,
    num_classes: int,
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
        groups: The groups of the N examples; those of unknown groups are left out.
        num_classes: K.
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
    group_sizes(groups)
    known = np.flatnonzero(groups.ids != UNKNOWN)
    values, ids, members = features[known], labels[known], groups.at(known)
    if isinstance(c, str):
        c = _best(values, ids, members, num_classes=num_classes, seed=seed)
    scaling = Scaling.of(values)
    scaled = scaling(values)
    fits = []
    for draw in range(draws):
        rng = np.random.default_rng([seed, draw])
        chosen = balanced_draw(members, rng)
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
    groups: Groups,
    *,
    num_classes: int,
    seed: int,
) -> float:
    """Return the candidate with the best worst group of a half that it was not fitted on."""
    # Not a number of a draw.
    rng = np.random.default_rng([seed, 2**32])
    is_held_out = np.zeros([len(groups)], bool)
    for group in range(len(groups.names)):
        # Halves of each group, so that both halves have all of them.
        order = rng.permutation(np.flatnonzero(groups.ids == group))
        is_held_out[order[: len(order) // 2]] = True
    held_out, fitted = np.flatnonzero(is_held_out), np.flatnonzero(~is_held_out)
    chosen = fitted[balanced_draw(groups.at(fitted), rng)]
    judged = groups.at(held_out)
    if not judged.is_known:
        raise ValueError("`c='auto'` needs a group of two images or more. Received: one of each")
    is_present = judged.counts > 0
    scaling = Scaling.of(features[fitted])
    accuracies = []
    for c in CANDIDATES:
        fit = _fit(scaling(features[chosen]), labels[chosen], num_classes=num_classes, c=c)
        predicted = np.argmax(fit.logits(scaling(features[held_out])), axis=1)
        right = judged.at(np.flatnonzero(predicted == labels[held_out])).counts
        accuracies.append((right[is_present] / judged.counts[is_present]).min())
    return CANDIDATES[int(np.argmax(accuracies))]
