"""CueTree: clusters joined into cues that can be opened step by step."""

from __future__ import annotations

import heapq
import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proxy_keras.cues.clustering import CellClusters

SHOWN = 16
"""Number of cues that are shown at first."""

# Nine digits at most: longer ones are no cue, and Python refuses to convert very long ones.
_NAME = re.compile(r"([1-9][0-9]{0,8})([ab]*)")


@dataclass(frozen=True)
class CueTree:
    """The tree of clusters, and the nodes of it that are shown as cues.

    A cue is a node of the tree: a cluster, or several joined ones. Shown cues are named "1", "2",
    ...; the two halves of "3" are "3a" and "3b", those of "3b" are "3ba" and "3bb". So the name of
    a cue begins with those of all cues that it is part of.

    Attributes:
        clusters: The clusters and the order in which they are joined.
        roots: The nodes that are named "1", "2", ...; they cover every cluster once.
    """

    clusters: CellClusters
    roots: tuple[int, ...]

    @property
    def shown(self) -> list[str]:
        """Names of the cues that are shown at first: "1", "2", ..."""
        return [str(number) for number in range(1, len(self.roots) + 1)]

    def halves(self, node: int) -> tuple[int, ...]:
        """Return the two nodes that were joined into a node; () for a single cluster."""
        count = len(self.clusters.counts)
        return () if node < count else tuple(self.clusters.joins[node - count].tolist())

    def halves_of(self, name: str) -> tuple[str, ...]:
        """Return the names of the two halves of a cue; () if it is a single cluster.

        Raises:
            ValueError: There is no cue of this name.
        """
        return (name + "a", name + "b") if self.halves(self.node(name)) else ()

    def node(self, name: str) -> int:
        """Return the node of a cue.

        Raises:
            ValueError: There is no cue of this name.
        """
        # The name is followed down; names of all nodes would be as long as a tree is deep.
        matched = _NAME.fullmatch(name)
        if matched is not None and int(matched[1]) <= len(self.roots):
            node = self.roots[int(matched[1]) - 1]
            for step in matched[2]:
                halves = self.halves(node)
                if not halves:
                    break
                node = halves["ab".index(step)]
            else:
                return node
        raise ValueError(
            f"There is no cue {reprlib.repr(name)}. There are 1 to {len(self.roots)}, and their "
            "halves, such as 1a and 1b; a single cluster has none."
        )

    def members(self, name: str) -> NDArray[np.int64]:
        """Return the clusters of a cue, ascending: [m] int64.

        Raises:
            ValueError: There is no cue of this name.
        """
        return members(self.clusters, self.node(name))

    def purity(self, name: str) -> float:
        """Return the mean cosine similarity of a cue's cells to their centre, in [0, 1].

        Raises:
            ValueError: There is no cue of this name.
        """
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
    """Return the mean cosine similarity of the cells of some clusters to their common centre.

    Args:
        clusters: The clusters.
        of: Some of them, at least one.

    Returns:
        A number in [0, 1]; 1 if all cells have the same features.
    """
    counts = clusters.counts[of].astype(np.float64)
    mean = counts @ clusters.means[of].astype(np.float64) / counts.sum()
    # Rounding takes the mean of equal cells past 1.
    return min(float(np.linalg.norm(mean)), 1.0)


def open_tree(clusters: CellClusters, weights: NDArray[np.float64], shown: int) -> tuple[int, ...]:
    """Return the nodes to show: the tree, opened where its cells differ most.

    Args:
        clusters: The clusters.
        weights: [M] share of the evidence of each cluster, >= 0: the node is opened next whose
            weight times impurity is the largest.
        shown: Largest number of nodes, >= 1.

    Returns:
        Nodes that cover every cluster once, ascending: `shown` of them, or M if that is less.
    """
    count = len(clusters.counts)

    def entry(node: int) -> tuple[float, int]:
        inside = members(clusters, node)
        return -float(weights[inside].sum()) * (1.0 - purity(clusters, inside)), node

    # Nodes that can be opened, widest first; each is measured once.
    waiting, nodes = [entry(2 * count - 2)], {2 * count - 2}
    while len(nodes) < min(shown, count):
        _, widest = heapq.heappop(waiting)
        nodes.remove(widest)
        for half in clusters.joins[widest - count].tolist():
            nodes.add(half)
            if half >= count:
                heapq.heappush(waiting, entry(half))
    return tuple(sorted(nodes))


def reorder(tree: CueTree, order: Sequence[int]) -> CueTree:
    """Return the tree with its shown cues renamed: the new "1" is `roots[order[0]]`, and so on."""
    return CueTree(tree.clusters, tuple(tree.roots[index] for index in order))
