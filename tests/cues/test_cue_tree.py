"""Cues have names by their place in the tree; any way of opening it covers every cluster once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.cues.clustering import CellClusters
from proxy_keras.cues.cue_tree import CueTree, members, open_tree, purity, reorder


def clusters_of(means: object, counts: object, joins: object) -> CellClusters:
    means = np.asarray(means, np.float32)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return CellClusters(
        centroids=(means / lengths).astype(np.float32),
        means=means,
        counts=np.asarray(counts, np.int64),
        joins=np.asarray(joins, np.int32).reshape(-1, 2),
    )


@pytest.fixture
def tree() -> CueTree:
    """Clusters 0 to 3; 0 and 1 are joined into 4, 2 and 3 into 5, and these into 6."""
    means = [[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1], [0, 0.6, 0.8]]
    return CueTree(clusters_of(means, [3, 1, 2, 2], [[0, 1], [2, 3], [4, 5]]), (4, 5))


@pytest.mark.parametrize(
    ("name", "node", "inside"),
    [
        ("1", 4, [0, 1]),
        ("2", 5, [2, 3]),
        ("1a", 0, [0]),
        ("1b", 1, [1]),
        ("2a", 2, [2]),
        ("2b", 3, [3]),
    ],
)
def test_each_cue_has_its_node_and_its_clusters(
    tree: CueTree, name: str, node: int, inside: list[int]
) -> None:
    assert tree.node(name) == node
    assert tree.members(name).tolist() == inside
    assert tree.members(name).dtype == np.int64


def test_names_of_shown_cues_and_of_halves(tree: CueTree) -> None:
    assert tree.shown == ["1", "2"]
    assert tree.halves_of("1") == ("1a", "1b")
    assert tree.halves_of("1a") == ()
    assert tree.halves(6) == (4, 5) and tree.halves(3) == ()


@pytest.mark.parametrize(
    "name",
    ["", "0", "3", "a", "1c", "1aa", "01", "+1", " 1", "1 ", "1a1", "-1", "1.0", "١", "²", "1\n"]
    + ["9" * 5000, "1" + "a" * 100_000],
)
def test_other_names_are_refused(tree: CueTree, name: str) -> None:
    with pytest.raises(ValueError, match="There is no cue .* There are 1 to 2") as error:
        tree.node(name)
    assert len(str(error.value)) < 200


def test_purity_is_the_length_of_the_mean_of_all_cells(tree: CueTree) -> None:
    # Cue 1: (3 * (1, 0, 0) + (0.8, 0.6, 0)) / 4 = (0.95, 0.15, 0).
    assert tree.purity("1") == pytest.approx(np.hypot(0.95, 0.15), abs=1e-6)
    # Cue 2: (0, 0.3, 0.9).
    assert tree.purity("2") == pytest.approx(np.hypot(0.3, 0.9), abs=1e-6)
    assert tree.purity("2b") == pytest.approx(1.0, abs=1e-6)


def test_purity_counts_cells_and_never_passes_one() -> None:
    clusters = clusters_of([[1, 0], [0, 1]], [2**62, 2**62], [[0, 1]])
    assert purity(clusters, np.array([0, 1])) == pytest.approx(np.sqrt(0.5))
    third = np.full(3, 1 / np.sqrt(3), np.float32)
    same = clusters_of([third, third], [7, 9], [[0, 1]])
    assert purity(same, np.array([0, 1])) <= 1.0


def test_the_tree_is_opened_where_weight_times_impurity_is_largest() -> None:
    # Node 4 holds two directions at right angles, node 5 twice the same one.
    means = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    clusters = clusters_of(means, [1, 1, 1, 1], [[0, 1], [2, 3], [4, 5]])
    equal = np.full(4, 0.25)
    assert open_tree(clusters, equal, 1) == (6,)
    assert open_tree(clusters, equal, 2) == (4, 5)
    assert open_tree(clusters, equal, 3) == (0, 1, 5)
    assert open_tree(clusters, equal, 4) == (0, 1, 2, 3)
    assert open_tree(clusters, equal, 99) == (0, 1, 2, 3)


def test_what_holds_more_evidence_is_opened_first() -> None:
    means = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0.6, 0.8]]
    clusters = clusters_of(means, [1, 1, 1, 1], [[0, 1], [2, 3], [4, 5]])
    assert open_tree(clusters, np.array([0.25, 0.25, 0.25, 0.25]), 3) == (0, 1, 5)
    assert open_tree(clusters, np.array([0.01, 0.01, 0.49, 0.49]), 3) == (2, 3, 4)


def test_reorder_renames_the_shown_cues(tree: CueTree) -> None:
    turned = reorder(tree, [1, 0])
    assert turned.roots == (5, 4)
    assert turned.members("1").tolist() == [2, 3]
    assert turned.members("2b").tolist() == [1]


@st.composite
def random_clusters(draw: st.DrawFn) -> CellClusters:
    """A random tree over 2 to 40 clusters."""
    count = draw(st.integers(2, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    alive, joins = list(range(count)), []
    for row in range(count - 1):
        pair = [alive.pop(int(rng.integers(len(alive)))) for _ in range(2)]
        joins.append(pair)
        alive.append(count + row)
    means = rng.normal(size=[count, 5])
    means *= rng.uniform(0.1, 1, [count, 1]) / np.linalg.norm(means, axis=1, keepdims=True)
    return clusters_of(means, rng.integers(1, 100, count), joins)


@settings(max_examples=60, deadline=None)
@given(random_clusters(), st.integers(1, 60), st.randoms(use_true_random=False))
def test_any_opening_covers_every_cluster_once(
    clusters: CellClusters, shown: int, random: object
) -> None:
    count = len(clusters.counts)
    weights = np.random.default_rng(shown).uniform(size=count)
    tree = CueTree(clusters, open_tree(clusters, weights, shown))
    assert len(tree.shown) == min(shown, count)
    names = list(tree.shown)
    while True:
        covered = np.concatenate([tree.members(name) for name in names])
        assert sorted(covered.tolist()) == list(range(count))
        can_open = [name for name in names if tree.halves_of(name)]
        if not can_open:
            break
        name = random.choice(can_open)  # type: ignore[attr-defined]
        halves = tree.halves_of(name)
        union = np.concatenate([tree.members(half) for half in halves])
        assert sorted(union.tolist()) == tree.members(name).tolist()
        names.remove(name)
        names += halves
    assert sorted(tree.node(name) for name in names) == list(range(count))


@settings(max_examples=60, deadline=None)
@given(random_clusters())
def test_splitting_never_lowers_the_mean_purity(clusters: CellClusters) -> None:
    count = len(clusters.counts)
    for node in range(count, 2 * count - 1):
        halves = [members(clusters, half) for half in clusters.joins[node - count].tolist()]
        cells = [clusters.counts[half].sum() for half in halves]
        split = np.average([purity(clusters, half) for half in halves], weights=cells)
        assert 0.0 <= purity(clusters, members(clusters, node)) <= split + 1e-6


def test_a_tree_as_deep_as_it_has_clusters_is_named_and_opened_quickly() -> None:
    count = 4096
    chain = [[0, 1], *([count + row - 1, row + 1] for row in range(1, count - 1))]
    clusters = clusters_of(np.eye(4)[np.arange(count) % 4], np.ones(count), chain)
    tree = CueTree(clusters, open_tree(clusters, np.full(count, 1 / count), 16))
    deepest = max(tree.shown, key=lambda name: len(tree.members(name)))
    name = deepest + "a" * (len(tree.members(deepest)) - 1)
    assert tree.members(name).tolist() == [0]
    assert tree.halves_of(name) == ()
