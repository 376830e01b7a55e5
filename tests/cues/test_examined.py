"""The evidence of images is summed by cluster, in blocks, exactly."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.cues import examined as module
from proxy_keras.cues.examined import ExaminedImages
from tests.cues.small_cues import examined

IMAGES = examined(
    maps=[[0, 0, 1, 2], [2, 2, 2, 2], [1, 1, 0, 0]],
    evidence=[[255, 0, 51, 204], [0, 0, 0, 0], [255, 45, 0, 0]],
    inside=[[255, 255, 0, 51], [255] * 4, [0, 255, 0, 0]],
    has_object=[True, True, True],
    similarity=[[200, 0, 200, 200], [1, 2, 3, 0], [200, 200, 0, 0]],
)


def test_shares_by_cluster_are_those_of_each_image() -> None:
    expected = [[0.5, 0.1, 0.4], [0, 0, 0], [0, 1, 0]]
    np.testing.assert_allclose(IMAGES.evidence_by_cluster, expected, atol=1e-7)
    assert IMAGES.evidence_by_cluster.dtype == np.float32


def test_shares_inside_are_of_the_whole_evidence() -> None:
    expected = [[0.5, 0, 0.4 * 0.2], [0, 0, 0], [0, 0.15, 0]]
    np.testing.assert_allclose(IMAGES.inside_by_cluster, expected, atol=1e-7)
    assert IMAGES.inside_by_cluster.dtype == np.float32


def test_evidence_by_place_is_summed_over_images() -> None:
    expected = np.zeros([1, 4, 3], np.int64)
    expected[0, 0] = [255, 255, 0]
    expected[0, 1] = [0, 45, 0]
    expected[0, 2] = [0, 51, 0]
    expected[0, 3] = [0, 0, 204]
    np.testing.assert_array_equal(IMAGES.evidence_by_place, expected)


def test_cells_without_features_count_nowhere() -> None:
    # In all, 4, 3 and 5 cells; of those, 3, 0 and 1 have a similarity of 0.
    assert IMAGES.cells_by_cluster.tolist() == [1, 3, 4]


def test_mistakes_need_a_label() -> None:
    images = dataclasses.replace(
        IMAGES, labels=np.array([0, -1, 2]), predictions=np.array([1, 1, 2])
    )
    assert images.is_wrong.tolist() == [True, False, False]


def test_join_keeps_the_order_and_the_types() -> None:
    joined = ExaminedImages.join([IMAGES, IMAGES])
    assert len(joined) == 6 and len(IMAGES) == 3
    assert joined.example_ids == IMAGES.example_ids * 2
    for field in dataclasses.fields(ExaminedImages):
        one, both = getattr(IMAGES, field.name), getattr(joined, field.name)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(both, np.concatenate([one, one]))
            assert both.dtype == one.dtype
    assert joined.num_clusters == 3


@st.composite
def random_images(draw: st.DrawFn) -> ExaminedImages:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, total = draw(st.integers(1, 9)), draw(st.integers(2, 9))
    shape = (count, draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    return ExaminedImages(
        example_ids=[str(number) for number in range(count)],
        labels=rng.integers(-1, 3, count).astype(np.int32),
        predictions=rng.integers(0, 3, count).astype(np.int32),
        is_held_out=rng.random(count) < 0.5,
        clusters=rng.integers(0, total, shape).astype(np.uint16),
        evidence=(rng.integers(0, 256, shape) * (rng.random(shape) < 0.5)).astype(np.uint8),
        similarity=rng.integers(0, 3, shape).astype(np.uint8),
        inside=rng.integers(0, 256, shape).astype(np.uint8),
        has_object=rng.random(count) < 0.5,
        num_clusters=total,
    )


@settings(max_examples=50, deadline=None)
@given(random_images())
def test_shares_sum_to_one_or_zero_and_those_inside_are_no_larger(images: ExaminedImages) -> None:
    sums = images.evidence_by_cluster.sum(axis=1)
    np.testing.assert_allclose(sums, images.evidence.any(axis=(1, 2)).astype(float), atol=1e-6)
    assert (images.inside_by_cluster <= images.evidence_by_cluster).all()
    assert images.evidence_by_place.sum() == images.evidence.sum()
    assert images.cells_by_cluster.sum() == (images.similarity > 0).sum()


@pytest.mark.parametrize("block", [1, 7, 20])
def test_the_size_of_a_block_changes_nothing(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    images = dataclasses.replace(IMAGES)
    for name in (
        "evidence_by_cluster",
        "inside_by_cluster",
        "evidence_by_place",
        "cells_by_cluster",
    ):
        np.testing.assert_array_equal(getattr(images, name), getattr(IMAGES, name))


def test_the_memory_of_sums_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    count, side = 64, 56
    shape = (count, side, side)
    images = ExaminedImages(
        example_ids=[str(number) for number in range(count)],
        labels=np.zeros([count], np.int32),
        predictions=np.zeros([count], np.int32),
        is_held_out=np.zeros([count], bool),
        clusters=np.ones(shape, np.uint16),
        evidence=np.ones(shape, np.uint8),
        similarity=np.ones(shape, np.uint8),
        inside=np.ones(shape, np.uint8),
        has_object=np.ones([count], bool),
        num_clusters=96,
    )
    monkeypatch.setattr(module, "_BLOCK", 2 * side * side)
    tracemalloc.start()
    try:
        assert images.evidence_by_cluster.shape == (count, 96)
        assert images.inside_by_cluster.shape == (count, 96)
        assert images.cells_by_cluster.sum() == count * side * side
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # An int64 for every cell of every image would take 1.6 MB.
    assert peak < 8e5
