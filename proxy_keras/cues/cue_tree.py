"""CueTree: clusters joined into cues that can be opened step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from proxy_keras.cues.clustering import CellClusters

SHOWN = 16
"""Number of cues that are shown at first."""


@dataclass(frozen=True)
class CueTree:
    """The tree of clusters, and the nodes of it that are shown as cues.

    A cue is a node of the tree: a cluster, or several joined ones. Shown cues are named "1", "2",
    ...; the two halves of "3" are "3a" and "3b", those of "3b" are "3ba" and "3bb".

    Attributes:
        clusters: The clusters and the order in which they are joined.
        roots: The nodes that are named "1", "2", ...; they cover every cluster once.
    """

    clusters: CellClusters
    roots: tuple[int, ...]

    @cached_property
    def _nodes(self) -> dict[str, int]:
        nodes: dict[str, int] = {}
        waiting = [(str(number), node) for number, node in enumerate(self.roots, start=1)]
        while waiting:
            name, node = waiting.pop()
            nodes[name] = node
            waiting += list(zip((name + "a", name + "b"), self.halves(node), strict=False))
        return nodes

    @property
    def shown(self) -> list[str]:
        """Names of the cues that are shown at first: "1", "2", ..."""
        return [str(number) for number in range(1, len(self.roots) + 1)]

    def halves(self, node: int) -> tuple[int, ...]:
        """Return the two nodes that were joined into a node; () for a single cluster."""
        count = len(self.clusters.counts)
        return () if node < count else tuple(self.clusters.joins[node - count].tolist())

    def halves_of(self, name: str) -> tuple[str, ...]:
        """Return the names of the two halves of a cue; () if it is a single cluster."""
        return (name + "a", name + "b") if self.halves(self.node(name)) else ()

    def node(self, name: str) -> int:
        """Return the node of a cue.

        Raises:
            ValueError: There is no cue of this name.
        """
        if name not in self._nodes:
            raise ValueError(
                f"There is no cue {name!r}. There are 1 to {len(self.roots)}, and their halves, "
                "such as 1a and 1b."
            )
        return self._nodes[name]

    def members(self, name: str) -> NDArray[np.int64]:
        """Return the clusters of a cue, ascending."""
        return members(self.clusters, self.node(name))

    def purity(self, name: str) -> float:
        """Return the mean cosine similarity of a cue's cells to their centre, in [0, 1]."""
        return purity(self.clusters, self.members(name))


def members(clusters: CellClusters, node: int) -> NDArray[np.int64]:
    """Return the clusters below a node, ascending."""
    count, found, waiting = len(clusters.counts), [], [node]
    while waiting:
        node = waiting.pop()
        if node < count:
            found.append(node)
        else:
            waiting += clusters.joins[node - count].tolist()
    return np.sort(np.array(found, np.int64))


def purity(clusters: CellClusters, of: NDArray[np.int64]) -> float:
    """Return the mean cosine similarity of the cells of some clusters to their common centre."""
    weights = clusters.counts[of] / clusters.counts[of].sum()
    return float(np.linalg.norm(weights @ clusters.means[of].astype(np.float64)))


def open_tree(clusters: CellClusters, weights: NDArray[np.float64], shown: int) -> tuple[int, ...]:
    """Return the nodes to show: the tree, opened where its cells differ most.

    Args:
        clusters: The clusters.
        weights: [M] share of the evidence of each cluster; opening starts with what matters most.
        shown: Largest number of nodes, >= 1.

    Returns:
        Nodes that cover every cluster once.
    """
    count = len(clusters.counts)
    nodes = [2 * count - 2]

    def spread(node: int) -> float:
        inside = members(clusters, node)
        return float(weights[inside].sum()) * (1.0 - purity(clusters, inside))

    while len(nodes) < min(shown, count):
        widest = max((node for node in nodes if node >= count), key=spread)
        nodes.remove(widest)
        nodes += clusters.joins[widest - count].tolist()
    return tuple(nodes)


def reorder(tree: CueTree, order: Sequence[int]) -> CueTree:
    """Return the tree with its shown cues renamed by their new order, indices into `roots`."""
    return CueTree(tree.clusters, tuple(tree.roots[index] for index in order))
