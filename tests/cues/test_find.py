"""Cues are found, told apart, ticked, saved and loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from proxy_keras import Cues, ImageData, find_cues
from proxy_keras.cues import find
from proxy_keras.cues.readable_images import ArrayImages
from proxy_keras.data.data_split import DataSplit
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


def test_mistakes_are_those_of_a_split_that_is_given_alone(
    model: keras.Model, images: tuple[NDArray[np.uint8], NDArray[np.int64]]
) -> None:
    data = ImageData.from_arrays(*images, classes=["red", "green", "none"], progress=False)
    cues = find_cues(model, data.val, clusters=8, verbose=0)
    assert cues.images.example_ids == data.val.example_ids
    assert not cues.images.is_held_out.any()
    np.testing.assert_array_equal(cues.images.labels, data.val.labels)


def test_a_folder_and_a_stream_give_what_their_arrays_give(
    model: keras.Model, images: tuple[NDArray[np.uint8], NDArray[np.int64]], tmp_path: Path
) -> None:
    names = ["a", "b"]
    for number, (image, label) in enumerate(zip(*images, strict=True)):
        folder = tmp_path / names[label]
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:02d}.png")
    stream = tf.data.Dataset.from_tensor_slices(images)
    for data in (
        ImageData.from_folder(tmp_path, image_size=SIDE, progress=False),
        ImageData.from_dataset(stream, image_size=SIDE, classes=names, progress=False),
    ):
        cues = find_cues(model, data, clusters=8, verbose=0)
        assert sorted(cues.images.example_ids) == sorted(
            data.train.example_ids + data.val.example_ids
        )
        # In the order of the split, though a stream is read in its own.
        count = len(data.train)
        assert cues.images.example_ids[:count] == data.train.example_ids
        ((_, pictures, _),) = data.train.originals(99).as_numpy_iterator()
        order = np.concatenate([p for p, _, _ in data.train.originals(99).as_numpy_iterator()])
        found = cues.cells(pictures)
        np.testing.assert_array_equal(cues.images.clusters[:count][order], found.clusters)
        assert cues.classes is None and len(cues.shown) == 3


def test_images_in_the_range_of_the_model(
    model: keras.Model, images: tuple[NDArray[np.uint8], NDArray[np.int64]], cues: Cues
) -> None:
    image = keras.Input([SIDE, SIDE, 3])
    scaled = keras.Model(image, model(keras.layers.Rescaling(255.0)(image)))
    found = find_cues(scaled, (images[0] / 255).astype(np.float32), clusters=8, verbose=0)
    shares = [found.facts(name).evidence_share for name in found.shown]
    assert sorted(shares) == pytest.approx(
        sorted(cues.facts(name).evidence_share for name in cues.shown), abs=1e-3
    )
    # Without labels no mistakes are known, and classes are those that are predicted.
    assert (found.images.labels == -1).all()
    assert all(found.facts(name).leads_wrong is None for name in found.shown)
    assert [cue.mistakes_share for cue in map(found.facts, found.shown)] == [None] * 3


@pytest.fixture
def batches_read(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The positions of all images that are read, batch by batch."""
    read: list[list[int]] = []
    batches = ArrayImages.batches

    def record(self: ArrayImages, positions: Any, batch_size: int) -> Any:
        for places, batch in batches(self, positions, batch_size):
            read.append(places.tolist())
            yield places, batch

    monkeypatch.setattr(ArrayImages, "batches", record)
    return read


def test_each_image_is_read_once_in_batches_if_its_cells_can_be_kept(
    model: keras.Model,
    images: tuple[NDArray[np.uint8], NDArray[np.int64]],
    batches_read: list[list[int]],
) -> None:
    find_cues(model, *images, clusters=8, batch_size=16, verbose=0)
    assert batches_read == [[*range(16)], [*range(16, 32)], [*range(32, 40)]]


def test_no_more_is_kept_than_fits_and_the_cues_are_the_same(
    model: keras.Model,
    images: tuple[NDArray[np.uint8], NDArray[np.int64]],
    cues: Cues,
    batches_read: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One image is 16 cells of 3 channels; two batches of 10 fit.
    monkeypatch.setattr(find, "KEPT_BYTES", 25 * 16 * 3 * 4)
    again = find_cues(model, *images, clusters=8, batch_size=10, verbose=0)
    assert batches_read[4:] == [[*range(20, 30)], [*range(30, 40)]]
    assert str(again) == str(cues)
    assert again.images.example_ids == cues.images.example_ids
    np.testing.assert_array_equal(again.images.clusters, cues.images.clusters)
    np.testing.assert_array_equal(again.images.evidence, cues.images.evidence)


def test_no_more_images_are_examined_than_asked_for(
    model: keras.Model,
    images: tuple[NDArray[np.uint8], NDArray[np.int64]],
    batches_read: list[list[int]],
) -> None:
    cues = find_cues(model, *images, clusters=8, max_images=12, verbose=0)
    drawn = [int(name) for name in cues.images.example_ids]
    assert len(drawn) == 12 and drawn == sorted(set(drawn)) and drawn != list(range(12))
    assert sorted(sum(batches_read, [])) == drawn
    np.testing.assert_array_equal(cues.images.labels, images[1][drawn])
    other = find_cues(model, *images, clusters=8, max_images=12, seed=1, verbose=0)
    assert other.images.example_ids != cues.images.example_ids


def test_only_a_sample_is_clustered(
    model: keras.Model,
    images: tuple[NDArray[np.uint8], NDArray[np.int64]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = []
    cluster = find.cluster_cells

    def record(features: Any, *args: Any, **options: Any) -> Any:
        sizes.append(len(features))
        return cluster(features, *args, **options)

    monkeypatch.setattr(find, "cluster_cells", record)
    # Two cells of each image hold evidence: the square and the corner.
    assert len(find_cues(model, *images, clusters=8, verbose=0).images) == 40
    monkeypatch.setattr(find, "SMALLEST_SAMPLE", 10)
    assert len(find_cues(model, *images, clusters=8, verbose=0).images) == 40
    monkeypatch.setattr(find, "SAMPLE", 0.5)
    find_cues(model, *images, clusters=8, verbose=0)
    # Room for one cell of each of 20 images.
    monkeypatch.setattr(find, "SAMPLE_BYTES", 20 * 3 * 4)
    find_cues(model, *images, clusters=8, verbose=0)
    assert sizes == [80, 20, 40, 20]


def test_evidence_that_is_weak_beside_others_has_no_cluster(
    model: keras.Model,
    images: tuple[NDArray[np.uint8], NDArray[np.int64]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The corner has 3/8 of the evidence of the square.
    assert len(find_cues(model, *images, clusters=8, verbose=0).shown) == 3
    monkeypatch.setattr(find, "EVIDENCE_FROM", 0.4)
    assert len(find_cues(model, *images, clusters=8, verbose=0).shown) == 2


def test_auto_counts_sampled_cells(
    model: keras.Model,
    images: tuple[NDArray[np.uint8], NDArray[np.int64]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def record(features: Any, clusters: int, *, seed: int) -> Any:
        asked.append((clusters, seed))
        raise KeyboardInterrupt

    monkeypatch.setattr(find, "cluster_cells", record)
    for cells_per_cluster, seed in ((50, 0), (8, 7), (0.5, 0)):
        monkeypatch.setattr(find, "CELLS_PER_CLUSTER", cells_per_cluster)
        with pytest.raises(KeyboardInterrupt):
            find_cues(model, *images, seed=seed, verbose=0)
    # Of 80 cells.
    assert asked == [(8, 0), (10, 7), (96, 0)]


def test_the_number_of_shown_cues(
    model: keras.Model, images: tuple[NDArray[np.uint8], NDArray[np.int64]]
) -> None:
    cues = find_cues(model, *images, clusters=8, shown=2, verbose=0)
    assert cues.shown == ["1", "2"]
    assert find_cues(model, *images, clusters=8, shown=1, verbose=0).shown == ["1"]


def test_most_suspicious_first(cues: Cues) -> None:
    suspicion = [cues.facts(name).suspicion for name in cues.shown]
    assert suspicion == sorted(suspicion, reverse=True)


@pytest.mark.slow
def test_a_new_process_gives_the_same_bits(
    model: keras.Model,
    cues: Cues,
    images: tuple[NDArray[np.uint8], NDArray[np.int64]],
    tmp_path: Path,
) -> None:
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "images.npz", images=images[0], labels=images[1])
    # The tests set these threads, on which the order of sums in TensorFlow depends.
    code = """
import sys, keras, numpy as np, tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(2)
from proxy_keras import find_cues
data = np.load(sys.argv[1] + "/images.npz")
model = keras.models.load_model(sys.argv[1] + "/model.keras")
cues = find_cues(model, data["images"], data["labels"], clusters=8, verbose=0)
cues.save(sys.argv[1] + "/cues")
"""
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        check=True,
        timeout=120,
        capture_output=True,
    )
    again = Cues.load(tmp_path / "cues")
    np.testing.assert_array_equal(again.tree.clusters.centroids, cues.tree.clusters.centroids)
    np.testing.assert_array_equal(again.images.evidence, cues.images.evidence)
    assert again.tree.roots == cues.tree.roots and again.shown == cues.shown


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_progress_bar_is_shown_on_a_terminal_only(
    model: keras.Model,
    images: tuple[NDArray[np.uint8], NDArray[np.int64]],
    is_terminal: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    find_cues(model, *images, clusters=8, max_images=8)
    assert ("cues, read" in capsys.readouterr().err) == is_terminal
    find_cues(model, *images, clusters=8, max_images=8, verbose=0)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": 1}, r"`clusters` must be 'auto' or in \[2, 4096\]. Received: 1"),
        ({"clusters": 4097}, r"`clusters` must be 'auto' or in \[2, 4096\]. Received: 4097"),
        ({"clusters": 8.0}, "`clusters` must be 'auto'"),
        ({"clusters": True}, "`clusters` must be 'auto'"),
        ({"clusters": "many"}, "`clusters` must be 'auto'.*Received: 'many'"),
        ({"max_images": 0}, "`max_images` must be an integer >= 1. Received: 0"),
        ({"max_images": None}, "`max_images` must be an integer >= 1. Received: None"),
        ({"max_images": 1.5}, "`max_images` must be an integer >= 1. Received: 1.5"),
        ({"shown": 0}, "`shown` must be an integer >= 1"),
        ({"batch_size": -1}, "`batch_size` must be an integer >= 1"),
        ({"seed": -1}, r"`seed` must be an integer in \[0, 2\*\*32\). Received: -1"),
        ({"seed": 2**32}, "`seed` must be an integer in"),
        ({"seed": None}, "`seed` must be an integer in"),
        ({"objects": {0: 1}}, "`objects` must be an ObjectMasks, .*Received: dict"),
        (
            {"labels": np.full(40, 3)},
            r"class ids of the model, in \[0, 3\), or -1.*Received: 3 to 3",
        ),
        ({"labels": np.full(40, -2)}, "class ids of the model.*Received: -2 to -2"),
        ({"labels": np.zeros(39, int)}, "`labels` must be 40 integers"),
        ({"target_layer": "none"}, "No layer is named 'none'"),
    ],
)
def test_wrong_arguments_are_refused(
    model: keras.Model,
    images: tuple[NDArray[np.uint8], NDArray[np.int64]],
    options: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        find_cues(model, images[0], **{"verbose": 0, **options})


def test_wrong_data_are_refused(
    model: keras.Model, images: tuple[NDArray[np.uint8], NDArray[np.int64]]
) -> None:
    with pytest.raises(ValueError, match="`images` must be an ImageData, one of its splits"):
        find_cues(model, images[0][0], verbose=0)
    with pytest.raises(ValueError, match=r"The model takes images \(16, 16, 3\)"):
        find_cues(model, images[0][:, :8], verbose=0)
    data = ImageData.from_arrays(*images, classes=["red", "green", "none"], progress=False)
    with pytest.raises(ValueError, match="Leave out `labels`: the data have their own."):
        find_cues(model, data, images[1], verbose=0)
    data.val.labels = data.val.labels + 3
    with pytest.raises(ValueError, match="Labels must be class ids of the model"):
        find_cues(model, data, verbose=0)
    empty = DataSplit(
        data.val._reader, [], [], [], name="val", seed=0, classes=["red", "green", "none"]
    )
    with pytest.raises(ValueError, match="The split 'val' has no images"):
        find_cues(model, empty, verbose=0)


def test_numpy_integers_are_integers(
    model: keras.Model, images: tuple[NDArray[np.uint8], NDArray[np.int64]], cues: Cues
) -> None:
    eight, zero = np.int64(8), np.int32(0)
    again = find_cues(model, *images, clusters=eight, batch_size=eight * 8, seed=zero, verbose=0)
    assert str(again) == str(cues)


def test_images_without_evidence_or_difference_are_refused(model: keras.Model) -> None:
    with pytest.raises(ValueError, match="no evidence in any image.*layer 'colours'"):
        find_cues(model, np.zeros([4, SIDE, SIDE, 3]), verbose=0)
    red = np.zeros([4, SIDE, SIDE, 3])
    red[:, :4, :4, 0] = 250
    with pytest.raises(ValueError, match="the same features, so there is only one cue"):
        find_cues(model, red, clusters=2, verbose=0)
    diverged = keras.models.clone_model(model)
    diverged.set_weights([*model.get_weights()[:-1], np.full([3, 3], np.nan)])
    with pytest.raises(FloatingPointError, match="4 of 4 logits are not finite"):
        find_cues(diverged, red, verbose=0)
