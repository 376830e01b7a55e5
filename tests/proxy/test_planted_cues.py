"""A planted shortcut is known exactly, and spread or hidden exactly."""

from __future__ import annotations

import numpy as np
import pytest

from proxy_keras import ImageData, ProxyAttention
from proxy_keras.proxy.planted_boxes import planted_cells
from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig
from tests.proxy.shown_proxies import shown_after_step

SIDE = 12
PATCH = SIDE // 6


def _data(**options) -> ImageData:
    rng = np.random.default_rng(0)
    images = rng.integers(100, 110, (40, SIDE, SIDE, 3)).astype(np.uint8)
    return ImageData.from_arrays(images, np.arange(40) % 2, seed=0, progress=False, **options)


def _originals(data: ImageData) -> np.ndarray:
    return next(iter(data.train.originals(64)))[1].numpy()


def test_decoys_are_where_they_were_drawn():
    data = ImageData.from_source("decoy_digits", seed=0, progress=False)
    images = _originals(data)
    cells = planted_cells(data.train)
    assert cells.shape == (len(data.train), 32, 32)
    for image, mask in zip(images[:20], cells[:20] == 255, strict=False):
        assert mask.sum() == 36
        # A decoy has one colour, its surroundings have noise.
        assert len(np.unique(image[mask], axis=0)) == 1


def test_the_corner_patch_and_a_decoy_are_both_planted():
    data = ImageData.from_source("decoy_digits", seed=0, shortcut=0.9, progress=False)
    boxes = data.planted[data.train.example_ids[0]]
    assert len(boxes) == 2 and boxes[1] == (0, 0, 5, 5)
    mask = planted_cells(data.train)[0] == 255
    assert mask[:5, :5].all() and mask[boxes[0][1], boxes[0][0]]


def test_hiding_replaces_the_patch_and_nothing_else():
    data = _data(shortcut=1.0)
    proxy, images = shown_after_step(data, "planted", cue_action="hide", replacement="white")
    (step,) = proxy.steps
    assert (step.made, step.wrong) == (len(data.train), 0)
    assert step.replaced == pytest.approx(PATCH**2 / SIDE**2)
    assert (images[:, :PATCH, :PATCH] == 255).all()
    originals = _originals(data)
    images[:, :PATCH, :PATCH] = originals[:, :PATCH, :PATCH]
    np.testing.assert_array_equal(images, originals)


def test_spreading_gives_each_image_the_patch_of_any_other():
    data = _data(shortcut=1.0)
    proxy, images = shown_after_step(data, "planted")
    levels = images[:, 0, 0, 0]
    # At rate 1, each class has one level; afterwards both classes have both.
    for label in (0, 1):
        assert set(levels[data.train.labels == label]) == {0.0, 255.0}
    np.testing.assert_array_equal(images[:, PATCH:], _originals(data)[:, PATCH:])


def test_random_masks_cover_the_same_area_elsewhere():
    data = _data(shortcut=1.0)
    proxy, images = shown_after_step(
        data, "planted", cue_action="hide", replacement="white", control="random_mask"
    )
    assert proxy.steps[0].replaced == pytest.approx(PATCH**2 / SIDE**2)
    assert not (images[:, :PATCH, :PATCH] == 255).all(axis=(1, 2, 3)).all()


def test_cells_of_large_images_cover_the_patch():
    data = ImageData.from_source("digits", image_size=160, shortcut=0.9, limit=10, progress=False)
    cells = planted_cells(data.train)
    assert cells.shape == (10, 64, 64)
    # 27 pixels are 10.8 cells.
    assert (cells[:, :11, :11] == 255).all() and cells.sum() == 10 * 255 * 121


def test_data_without_a_planted_shortcut_are_refused():
    with pytest.raises(ValueError, match="`cues='planted'` needs a planted shortcut"):
        ProxyAttention(_data().train, cues="planted")
    with pytest.raises(ValueError, match="needs a planted shortcut: .* Received: 'digits'"):
        TrainConfig(DataConfig("digits"), ProxyConfig(cues="planted"))
    for data in (DataConfig("decoy_digits"), DataConfig("digits", shortcut=0.9)):
        TrainConfig(data, ProxyConfig(cues="planted"))
