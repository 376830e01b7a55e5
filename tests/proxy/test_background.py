"""All that lies outside a known object is hidden or exchanged; with the controls of that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from proxy_keras import ImageData, ProxyAttention
from proxy_keras.objects.object_masks import ObjectMasks
from proxy_keras.proxy.some_objects import background_cells
from proxy_keras.settings import ProxyConfig
from tests.proxy.shown_proxies import shown_after_step

SIDE, N = 24, 40
OBJECT = np.s_[6:12, 12:18]


def _data() -> ImageData:
    """Images whose blue is their class, and whose red is their number."""
    images = np.zeros((N, SIDE, SIDE, 3), np.uint8)
    images[..., 0] = np.arange(1, N + 1)[:, None, None]
    labels = np.arange(N) % 2
    images[..., 2] = 200 * labels[:, None, None]
    return ImageData.from_arrays(images, labels, seed=0, val=0.1, test=0.1, progress=False)


def _objects(positions: list[int]) -> ObjectMasks:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[OBJECT] = True
    return ObjectMasks(dict.fromkeys(positions, mask), SIDE)


def _shown(data: ImageData, **settings: Any) -> tuple[ProxyAttention, NDArray[np.float32]]:
    return shown_after_step(data, "background", **{"cue_action": "hide", **settings})


def _everywhere(data: ImageData) -> ObjectMasks:
    return _objects([*range(len(data.train))])


def test_cells_without_a_pixel_of_the_object_are_masked_where_it_is_known():
    data = _data()
    cells = background_cells(data.train, _objects([4]))
    expected = np.full((SIDE, SIDE), 255, np.uint8)
    expected[OBJECT] = 0
    np.testing.assert_array_equal(cells[4], expected)
    assert cells.sum() == cells[4].sum()


def test_a_cell_of_a_large_image_with_one_pixel_of_the_object_is_not_masked():
    images = np.tile(np.arange(20, dtype=np.uint8)[:, None, None, None], (1, 160, 160, 3))
    data = ImageData.from_arrays(images, np.arange(20) % 2, seed=0, progress=False)
    mask = np.zeros((160, 160), bool)
    # 2.5 pixels a cell: the pixel belongs to row 40 and column 63.
    mask[100, 159] = True
    cells = background_cells(data.train, ObjectMasks({0: mask}, 160))[0]
    assert cells.shape == (64, 64)
    assert np.argwhere(cells == 0).tolist() == [[40, 63]]


def test_all_but_the_object_is_hidden_and_images_without_a_known_one_stay():
    data = _data()
    known = [*range(0, len(data.train), 2)]
    proxy, images = _shown(data, objects=_objects(known), replacement="white")
    inside = np.zeros((SIDE, SIDE), bool)
    inside[OBJECT] = True
    assert (images[known][:, ~inside] == 255).all()
    assert (images[known][:, inside] < 255).all()
    assert (images[1::2] < 255).all()
    assert proxy.steps[0].made == len(known)


def test_the_background_is_that_of_an_image_of_another_class():
    data = _data()
    _, images = _shown(data, objects=_everywhere(data), replacement="exchange")
    labels = data.train.labels
    # The blue of the object is the image's own class, that of the corner the other one.
    np.testing.assert_array_equal(images[:, 8, 14, 2], 200 * labels)
    np.testing.assert_array_equal(images[:, 0, 0, 2], 200 * (1 - labels))


def test_with_any_donor_the_background_is_of_both_classes_and_never_the_images_own():
    data = _data()
    _, images = _shown(data, objects=_everywhere(data), replacement="exchange", control="any_donor")
    for label in (0, 1):
        assert set(images[data.train.labels == label, 0, 0, 2]) == {0, 200}
    assert (images[:, 0, 0, 0] != images[:, 8, 14, 0]).all()


def test_a_share_of_the_objects_is_used():
    data = _data()
    proxy, images = _shown(data, objects=_everywhere(data), replacement="white", object_share=0.25)
    assert proxy.steps[0].made == (images[:, 0, 0] == 255).all(axis=1).sum() == 8


def test_the_central_square_is_kept_whatever_the_object():
    data = _data()
    proxy, images = _shown(
        data, objects=_everywhere(data), replacement="white", control="central_square"
    )
    kept = (images < 255).all(axis=3)
    # As large as the object, in the middle.
    expected = np.zeros((SIDE, SIDE), bool)
    expected[9:15, 9:15] = True
    assert (kept == expected).all()
    assert proxy.steps[0].replaced == pytest.approx(1 - 36 / 576)


def test_permuted_masks_are_those_of_other_images_in_their_places():
    data = _data()
    masks = {}
    for position in range(len(data.train)):
        masks[position] = np.zeros((SIDE, SIDE), bool)
        masks[position][position // SIDE, position % SIDE] = True
    objects = ObjectMasks(masks, SIDE)
    _, images = _shown(data, objects=objects, replacement="white", control="permuted_mask")
    kept = (images < 255).all(axis=3).reshape(len(images), -1)
    assert (kept.sum(axis=1) == 1).all()
    donors = kept.argmax(axis=1)
    assert sorted(donors) == [*range(len(images))]
    assert (donors != np.arange(len(images))).all()


def test_what_cannot_be_used_is_refused():
    data = _data()
    with pytest.raises(ValueError, match="`cues='background'` needs images whose object is known"):
        ProxyAttention(data.train, cues="background")
    with pytest.raises(ValueError, match="`control='any_donor'` needs `replacement='exchange'`"):
        ProxyConfig(control="any_donor")
    with pytest.raises(ValueError, match="`keep_donors` needs cues that are spread, or"):
        ProxyConfig(keep_donors=True)
    with pytest.raises(ValueError, match="`object_share` needs `cues='outside'` or 'background'"):
        ProxyConfig(cues="planted", object_share=0.1)
    with pytest.raises(ValueError, match="`cue_outside` needs `cues='outside'`"):
        ProxyConfig(cues="background", cue_outside=0.1)
    with pytest.raises(ValueError, match="`cue_evidence` is for cues of a network"):
        ProxyConfig(cues="background", cue_evidence=0.0)
    with pytest.raises(ValueError, match="`objects` needs `cues='outside'` or 'background'"):
        ProxyAttention(data.train, objects=_everywhere(data))
