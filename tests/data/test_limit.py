"""Limits of the training split: stratified and nested."""

from __future__ import annotations

import numpy as np
import pytest

from proxy_keras.data import ImageData


def made(limit: int | None = None, *, seed: int = 0) -> ImageData:
    return ImageData.from_source("digits", seed=seed, limit=limit, progress=False)


def ids(data: ImageData) -> set[str]:
    return set(data.train.example_ids)


def test_the_limit_is_stratified():
    data, whole = made(200), made()
    assert len(data.train) == 200
    counts, all_counts = (np.bincount(d.train.labels, minlength=10) for d in (data, whole))
    np.testing.assert_allclose(counts, all_counts * 200 / len(whole.train), atol=1.0)


def test_split_val_and_test_stay_the_same():
    data, whole = made(200), made()
    assert data.split_sha256 == whole.split_sha256
    assert data.val.example_ids == whole.val.example_ids
    assert data.test.example_ids == whole.test.example_ids


def test_a_smaller_limit_is_a_subset_and_depends_on_the_seed():
    assert ids(made(50)) < ids(made(200)) < ids(made())
    assert ids(made(50)) != ids(made(50, seed=1))
    assert ids(made(50)) == ids(made(50))


def test_ten_images_have_one_of_each_class():
    assert sorted(made(10).train.labels) == list(range(10))


def test_images_match_their_labels():
    data, whole = made(30), made()
    label_of = dict(zip(whole.train.example_ids, whole.train.labels, strict=True))
    picture_of = {
        whole.train.example_ids[p]: image
        for positions, images, _ in whole.train.originals(64)
        for p, image in zip(positions.numpy(), images.numpy(), strict=True)
    }
    for positions, images, labels in data.train.originals(16):
        for p, image, label in zip(positions.numpy(), images.numpy(), labels.numpy(), strict=True):
            id_ = data.train.example_ids[p]
            assert label == label_of[id_]
            np.testing.assert_array_equal(image, picture_of[id_])


@pytest.mark.parametrize("limit", [9, 100_000])
def test_a_limit_out_of_range_is_refused(limit):
    with pytest.raises(ValueError, match="`limit` must be between 10 .* training images"):
        made(limit)
