"""Cells are clustered by direction: blobs are found, with the same bits each time."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from proxy_keras.cues.clustering import CellClusters, cluster_cells
from proxy_keras.cues.cue_tree import members

CENTRES = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0.8, 0.6]], np.float32)


def unit(vectors: object) -> NDArray[np.float32]:
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def blobs(seed: int = 0) -> NDArray[np.float32]:
    """10, 20, 30 and 40 cells around the four centres."""
    rng = np.random.default_rng(seed)
    return unit(
        np.repeat(CENTRES, [10, 20, 30, 40], axis=0) + rng.normal(size=[100, 4], scale=0.02)
    )


def test_blobs_are_found() -> None:
    found = cluster_cells(blobs(), 4, seed=0)
    order = np.argsort(found.counts)
    assert found.counts[order].tolist() == [10, 20, 30, 40]
    np.testing.assert_allclose(found.centroids[order], CENTRES, atol=0.03)
    np.testing.assert_allclose(np.linalg.norm(found.centroids, axis=1), 1.0, atol=1e-6)
    assert (found.centroids.dtype, found.means.dtype) == (np.float32, np.float32)
    assert (found.counts.dtype, found.joins.dtype) == (np.int64, np.int32)


def test_the_length_of_a_mean_is_the_mean_similarity_to_the_centroid() -> None:
    cells = unit([[1, 0], [0.8, 0.6], [-1, 0.01]])
    found = cluster_cells(cells, 2, seed=0)
    pair = int(found.counts.argmax())
    np.testing.assert_allclose(found.means[pair], [0.9, 0.3], atol=1e-6)
    similarity = cells[:2] @ found.centroids[pair]
    assert np.linalg.norm(found.means[pair]) == pytest.approx(similarity.mean(), abs=1e-6)


def test_the_most_similar_are_joined_first_and_each_node_once() -> None:
    found = cluster_cells(blobs(), 4, seed=0)
    similar = np.flatnonzero(found.centroids[:, 2] > 0.7).tolist()
    assert sorted(found.joins[0].tolist()) == similar
    # Nodes 0 to 5 are each joined into a later one; node 6 is the whole.
    assert sorted(found.joins.ravel().tolist()) == [0, 1, 2, 3, 4, 5]
    assert (found.joins < 4 + np.arange(3)[:, np.newaxis]).all()
    assert members(found, 6).tolist() == [0, 1, 2, 3]


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    cells = unit(np.random.default_rng(1).normal(size=[500, 6]))
    assert digest(cluster_cells(cells, 12, seed=3)) == digest(cluster_cells(cells, 12, seed=3))
    assert digest(cluster_cells(cells, 12, seed=3)) != digest(cluster_cells(cells, 12, seed=4))


def test_a_new_process_gives_the_same_bits(tmp_path: Path) -> None:
    np.save(tmp_path / "cells.npy", blobs())
    code = (
        "import sys, numpy as np\n"
        "from proxy_keras.cues.clustering import cluster_cells\n"
        "found = cluster_cells(np.load(sys.argv[1]), 8, seed=5)\n"
        "sys.stdout.write((found.centroids.tobytes() + found.joins.tobytes()).hex())"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "cells.npy")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    found = cluster_cells(blobs(), 8, seed=5)
    assert printed == (found.centroids.tobytes() + found.joins.tobytes()).hex()


@pytest.mark.parametrize("clusters", [3, 8, 200])
def test_no_more_clusters_than_distinct_cells(clusters: int) -> None:
    cells = unit([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0]])
    found = cluster_cells(cells, clusters, seed=0)
    assert sorted(found.counts.tolist()) == [1, 1, 3]
    assert found.joins.shape == (2, 2)
    np.testing.assert_array_equal(found.means, found.centroids)


@pytest.mark.parametrize("cells", [unit([[1, 2]]), unit([[1, 2]] * 9)])
def test_one_distinct_cell_is_an_error(cells: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="the same features, so there is only one cue. Use more"):
        cluster_cells(cells, 4, seed=0)


def test_cells_that_cancel_out_have_a_centroid_nevertheless() -> None:
    angles = 2 * np.pi * np.arange(3) / 3
    star = np.stack([np.cos(angles), np.sin(angles), np.zeros(3)], axis=1)
    cells = unit([*star, *[[0, 0, 1]] * 1000])
    found = cluster_cells(cells, 2, seed=0)
    small = int(found.counts.argmin())
    assert found.counts[small] == 3
    np.testing.assert_allclose(found.means[small], 0.0, atol=1e-6)
    np.testing.assert_array_equal(found.centroids[small], cells[0])


def digest(found: CellClusters) -> str:
    arrays = (found.centroids, found.means, found.counts, found.joins)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
