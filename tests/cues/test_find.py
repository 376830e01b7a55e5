"""Cues are found, told apart, ticked, saved and loaded."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from proxy_keras import Cues, ImageData, find_cues
from proxy_keras.objects.object_masks import ObjectMasks

SIDE, CELLS = 16, 4


@pytest.fixture(scope="module")
def images() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Grey images with a square in red or green (the class) at a random cell, and a blue corner."""
    rng = np.random.default_rng(0)
    images = rng.integers(90, 110, [40, SIDE, SIDE, 3]).astype(np.uint8)
    labels = np.arange(40) % 2
    for image, label, cell in zip(images, labels, rng.integers(0, 12, 40), strict=True):
        row, column = divmod(int(cell), CELLS)
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 0
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4, label] = 250
        image[12:, 12:] = (0, 0, 250)
    return images, labels


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A classifier whose cells hold the mean colour, with weights set by hand.

    Red favours class 0, green class 1, and blue both over the third class.
    """
    image = keras.Input([SIDE, SIDE, 3])
    cells = keras.layers.AveragePooling2D(4)(image)
    cells = keras.layers.Conv2D(3, 1, use_bias=True, activation="relu", name="colours")(cells)
    pooled = keras.layers.GlobalAveragePooling2D()(cells)
    model = keras.Model(image, keras.layers.Dense(3, use_bias=False)(pooled))
    model.get_layer("colours").set_weights(
        [np.eye(3, dtype="float32")[None, None], np.full([3], -120, "float32")]
    )
    head = np.array([[1, 0, 0], [0, 1, 0], [0.75, 0.75, 0]], np.float32)
    model.layers[-1].set_weights([head])
    return model


@pytest.fixture(scope="module")
def cues(model: keras.Model, images: tuple[NDArray[np.uint8], NDArray[np.int64]]) -> Cues:
    return find_cues(model, *images, clusters=8, verbose=0)


def test_each_colour_is_a_cue(cues: Cues) -> None:
    assert cues.shown == ["1", "2", "3"]
    shares = sorted(cues.facts(name).evidence_share for name in cues.shown)
    # In units of the colour, the square's evidence is 1 - 1/3, the corner's 3/4 - 1/2.
    assert shares == pytest.approx([3 / 11, 4 / 11, 4 / 11], abs=0.002)
    assert all(cues.facts(name).purity == pytest.approx(1.0) for name in cues.shown)


def test_the_corner_is_in_all_classes_and_always_in_the_same_place(cues: Cues) -> None:
    corner = min(cues.shown, key=lambda name: cues.facts(name).evidence_share)
    facts = cues.facts(corner)
    assert facts.classes[:2] == (1.0, 1.0)
    assert facts.position > max(cues.facts(n).position for n in cues.shown if n != corner)


def corner_of(cues: Cues) -> str:
    return min(cues.shown, key=lambda name: cues.facts(name).evidence_share)


def test_a_ticked_cue_is_masked_where_it_is(
    cues: Cues, images: tuple[NDArray[np.uint8], NDArray[np.int64]]
) -> None:
    cues.tick([corner_of(cues)])
    masks, share = cues.masks(images[0][:5]), cues.ticked_share(images[0][:5])
    cues.undo()
    expected = np.zeros([5, CELLS, CELLS], bool)
    expected[:, 3, 3] = True
    np.testing.assert_array_equal(masks, expected)
    assert share == pytest.approx([3 / 11] * 5, abs=0.002)
    with pytest.raises(ValueError, match="No cue is ticked"):
        cues.masks(images[0][:5])


def test_the_evidence_of_an_image_is_shared_out_among_the_cues(
    cues: Cues, images: tuple[NDArray[np.uint8], NDArray[np.int64]]
) -> None:
    corner = cues.shown.index(corner_of(cues))
    shares = cues.shares(images[0][:5])
    assert shares.shape == (5, 3) and shares.dtype == np.float32
    assert shares[:, corner] == pytest.approx([3 / 11] * 5, abs=0.002)
    # The square has the other share: red in even images, green in odd ones.
    squares = np.delete(shares, corner, axis=1)
    assert squares.max(axis=1) == pytest.approx([8 / 11] * 5, abs=0.002)
    assert squares.argmax(axis=1).tolist() in ([0, 1, 0, 1, 0], [1, 0, 1, 0, 1])
    np.testing.assert_array_equal(cues.shares(images[0][:5], ["3", "1"]), shares[:, [2, 0]])
    # Black has no evidence at all.
    np.testing.assert_array_equal(cues.shares(np.zeros([1, SIDE, SIDE, 3])), np.zeros([1, 3]))
    with pytest.raises(ValueError, match="There is no cue '9'"):
        cues.shares(images[0][:5], ["9"])


def test_what_lies_outside_the_object_is_ticked_by_the_objects_of_some_images(
    model: keras.Model, images: tuple[NDArray[np.uint8], NDArray[np.int64]]
) -> None:
    object_of = {at: images[0][at][..., :2].max(axis=2) > 200 for at in range(12)}
    cues = find_cues(model, *images, clusters=8, objects=ObjectMasks(object_of, SIDE), verbose=0)
    assert cues.tick_outside(0.5) == [corner_of(cues)]
    assert cues.facts(corner_of(cues)).inside == 0.0
    assert cues.facts(corner_of(cues)).inside_images == 12


def test_the_same_arguments_give_the_same_bits(
    model: keras.Model, cues: Cues, images: tuple[NDArray[np.uint8], NDArray[np.int64]]
) -> None:
    again = find_cues(model, *images, clusters=8, verbose=0)
    np.testing.assert_array_equal(again.tree.clusters.centroids, cues.tree.clusters.centroids)
    np.testing.assert_array_equal(again.images.clusters, cues.images.clusters)
    assert str(again) == str(cues)


def test_saved_cues_are_loaded_as_they_were(
    cues: Cues, images: tuple[NDArray[np.uint8], NDArray[np.int64]], tmp_path: Path
) -> None:
    cues.tick([corner_of(cues)])
    cues.save(tmp_path / "cues")
    expected = cues.masks(images[0])
    cues.undo()
    loaded = Cues.load(tmp_path / "cues")
    np.testing.assert_array_equal(loaded.masks(images[0]), expected)
    assert loaded.ticked == [corner_of(cues)]


def test_mistakes_are_counted_on_validation_images(
    model: keras.Model, images: tuple[NDArray[np.uint8], NDArray[np.int64]]
) -> None:
    data = ImageData.from_arrays(*images, classes=["red", "green", "none"], progress=False)
    cues = find_cues(model, data, clusters=8, verbose=0)
    assert cues.images.is_held_out.sum() == len(data.val)
    assert cues.classes == ["red", "green", "none"]
    assert [cues.facts(name).leads_wrong for name in ("1", "2", "3")] == [None, 0.0, 0.0]
