"""Training in which all classes count the same.

Source: Idrissi, Arjovsky, Pezeshki & Lopez-Paz, Simple data balancing achieves competitive
    worst-group-accuracy (2022), where it is called RWY.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def class_weights(labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return weights of examples in the loss that have the same sum in each class.

    Args:
        labels: [N] class ids, N >= 1.

    Returns:
        [N] float32 with a mean of 1.
    """
    counts = np.bincount(labels)
    return np.asarray(len(labels) / ((counts > 0).sum() * counts[labels]), np.float32)
