"""A check of groups that several methods need."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.groups import Groups


def group_sizes(groups: Groups) -> NDArray[np.int64]:
    """Return the number of examples of each group, [G].

    Raises:
        ValueError: A group has no example.
    """
    if groups.absent:
        raise ValueError(
            f"Each group needs an example. Received: none of {', '.join(groups.absent)}"
        )
    return groups.counts
