"""Exact minimisation of energies of binary variables by a minimum cut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy_keras.io.extras import extra

NEVER = np.inf
"""The weight of a forbidden pair of values."""
_LARGEST = 2**30


def minimum_cut(
    costs: NDArray[np.floating],
    tails: NDArray[np.integer],
    heads: NDArray[np.integer],
    weights: NDArray[np.floating],
) -> NDArray[np.bool_]:
    """Minimise `sum(costs * x) + sum(weights * x[tails] * (1 - x[heads]))` over binary x.

    Args:
        costs: [N] cost of each variable being true rather than false.
        tails, heads: [E] pairs of variables.
        weights: [E] >= 0, paid if the tail is true and the head false; or `NEVER`.

    Returns:
        [N] bool; if there are several minima, the one with the fewest true variables.

    Source: Kolmogorov and Zabih, What energy functions can be minimized via graph cuts? (2004).
    """
    with extra("train"):
        from scipy.sparse import csr_matrix
        from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    costs = np.asarray(costs, np.float64)
    total = float(np.abs(costs).sum())
    if total == 0.0:
        return np.zeros(costs.shape, bool)
    # SciPy's flows are 32-bit integers; none exceeds the total capacity at the source.
    scale = _LARGEST / total
    count = len(costs)
    source, sink = count, count + 1
    nodes = np.arange(count)
    capacities = np.concatenate(
        [
            np.minimum(np.asarray(weights, np.float64) * scale, _LARGEST),
            np.maximum(-costs, 0.0) * scale,
            np.maximum(costs, 0.0) * scale,
        ]
    )
    starts = np.concatenate([tails, np.full(count, source), nodes])
    ends = np.concatenate([heads, nodes, np.full(count, sink)])
    graph = csr_matrix(
        (np.rint(capacities).astype(np.int32), (starts, ends)), shape=(count + 2, count + 2)
    )
    rest = graph - maximum_flow(graph, source, sink).flow
    rest.data = (rest.data > 0).astype(np.int32)
    rest.eliminate_zeros()
    is_true = np.zeros(count + 2, bool)
    is_true[breadth_first_order(rest, source, return_predecessors=False)] = True
    return is_true[:count]


def neighbours(grids: int, cells: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of adjacent cells in square grids, numbered one grid after the other.

    Returns:
        First and second cell of each pair, [E] each, below grids * cells * cells. In the first half
        of the pairs the second cell is to the right of the first, in the other half below it.
    """
    number = np.arange(grids * cells * cells).reshape(grids, cells, cells)
    first = [number[:, :, :-1].ravel(), number[:, :-1].ravel()]
    second = [number[:, :, 1:].ravel(), number[:, 1:].ravel()]
    return np.concatenate(first), np.concatenate(second)
