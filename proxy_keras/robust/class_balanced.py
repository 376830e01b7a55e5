"""The last layer, refitted with all classes counting the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy_keras.robust.linear_fit import LinearClassifier, Scaling, fit_linear


def balanced_weights(ids: NDArray[np.integer], count: int) -> NDArray[np.float64]:
    """Return a weight [N] for each example, so that all ids that occur have the same sum.

    Args:
        ids: [N] class ids, in [0, count).
        count: Number of classes.

    Returns:
        [N] float64, > 0, with a mean of 1.
    """
    sizes = np.bincount(ids, minlength=count)
    return np.asarray(len(ids) / (np.count_nonzero(sizes) * sizes[ids]), np.float64)


def class_balanced(
    features: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    num_classes: int,
    l2: float,
) -> LinearClassifier:
    """Return the last layer that is best when all classes count the same.

    The paper resamples batches of equally many images of each class; this is the minimum of the
    loss that their average stands for.

    Args:
        features: [N, D], the inputs of the last layer.
        labels: [N] class ids.
        num_classes: K.
        l2: Weight of the L2 penalty on scaled features, see `fit_linear`.

    Raises:
        ValueError: A class has no example.

    Source: LaBonte, Muthukumar & Kumar, Towards Last-Layer Retraining for Group Robustness with
        Fewer Annotations (2023).
    """
    scaling = Scaling.of(features)
    weights = balanced_weights(labels, num_classes)
    return scaling.undone(
        fit_linear(scaling(features), labels, weights, num_classes=num_classes, l2=l2)
    )
