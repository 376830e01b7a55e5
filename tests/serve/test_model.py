"""A model answers exactly, and refuses invalid input and invalid files."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest

from serve import Model, ModelCard

RED, BLUE = 0, 2


def pictures() -> np.ndarray:
    """A red image, and a black one whose upper half is blue."""
    images = np.zeros((2, 8, 8, 3), np.uint8)
    images[0, :, :, RED] = 255
    images[1, :4, :, BLUE] = 204
    return images


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_answers_are_exact(write_model, dtype):
    model = Model(write_model(dtype=dtype, labels=["a", "b", "c", "d"]), device="cpu")
    answers = model.run(pictures())
    expected = np.array([[1, 0, 0, 0], [0, 0, 0.4, 0]], np.float32)
    assert answers.logits == pytest.approx(expected, abs=1e-6)
    shares = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    assert answers.probabilities == pytest.approx(shares, abs=1e-6)
    assert answers.heatmaps.tolist() == [[[0.0] * 4] * 4, [[1.0] * 4] * 2 + [[0.0] * 4] * 2]
    kinds = {a.dtype for a in (answers.logits, answers.probabilities, answers.heatmaps)}
    assert kinds == {np.dtype(np.float32)}


def test_what_is_known_of_a_model(write_model):
    path = write_model(size=12, metadata={"image_size": "[12, 12]"})
    model = Model(path, device="cpu", threads=1)
    assert (model.path, model.device, model.device_note) == (path, "cpu", "on the CPU, 1 thread")
    assert (model.input_dtype, model.input_shape, model.map_shape) == (
        np.uint8,
        (12, 12, 3),
        (6, 6),
    )
    assert isinstance(model.card, ModelCard) and model.card.labels == ("a", "b", "c")


def test_without_heatmaps(write_model):
    model = Model(write_model(explain="none", dtype="float32"), device="cpu")
    assert model.map_shape is None and model.input_dtype is np.float32
    assert model.run(pictures()).heatmaps is None
    assert model.run(pictures()[:0]).heatmaps is None


def test_cues_of_each_image(write_model):
    model = Model(write_model(ticked=(True, False, True)), device="cpu")
    images = np.zeros((3, 8, 8, 3), np.uint8)
    images[0] = (200, 100, 100)
    images[1, :4] = (0, 40, 120)
    answers = model.run(images)
    assert answers.cues == pytest.approx(
        np.array([[0.5, 0.25, 0.25], [0, 0.25, 0.75], [0, 0, 0]]), abs=1e-6
    )
    assert answers.ticked_share == pytest.approx([0.75, 0.75, 0.0], abs=1e-6)
    one = answers.rows(1, 2)
    assert one.cues.tolist() == answers.cues[1:2].tolist()
    assert one.ticked_share.tolist() == answers.ticked_share[1:2].tolist()
    empty = model.run(images[:0])
    assert (empty.cues.shape, empty.ticked_share.shape) == ((0, 3), (0,))
    plain = Model(write_model(), device="cpu").run(images)
    assert plain.cues is None and plain.ticked_share is None


@pytest.mark.parametrize(
    ("ticked", "names", "message"),
    [
        ((), ["1"], "expected the outputs logits, probabilities, heatmap, cues, ticked_share"),
        ((True, False, True), None, "expected the outputs logits, probabilities, heatmap, found"),
        ((True, False, True), ["1", "2"], r"expected cues \[1, 2\] of float32 \(one per cue\)"),
    ],
)
def test_cues_that_differ_from_the_metadata_are_refused(write_model, ticked, names, message):
    entries = [{"name": name, "ticked": False, "description": ""} for name in names or []]
    metadata = {"cues": json.dumps(entries) if names else None}
    with pytest.raises(ValueError, match=message):
        Model(write_model(ticked=ticked, metadata=metadata), device="cpu")


def test_no_images_have_empty_answers(write_model, monkeypatch):
    model = Model(write_model(), device="cpu")
    # Some networks cannot run on an empty batch, so the session is not run.
    monkeypatch.setattr(model, "_session", None)
    answers = model.run(pictures()[:0])
    assert answers.logits.shape == answers.probabilities.shape == (0, 3)
    assert answers.heatmaps.shape == (0, 4, 4)
    assert answers.logits.dtype == answers.heatmaps.dtype == np.float32


def test_fractions_reach_a_float_model(write_model):
    model = Model(write_model(dtype="float32"), device="cpu")
    images = np.full((1, 8, 8, 3), 0.5, np.float32)
    assert model.run(images).logits == pytest.approx(np.full((1, 3), 0.5 / 255), abs=1e-8)


@pytest.mark.parametrize(
    ("dtype", "images", "message"),
    [
        ("uint8", np.zeros((8, 8, 3), np.uint8), r"\[N, 8, 8, 3\]. Received: \[8, 8, 3\]"),
        ("uint8", np.zeros((1, 8, 9, 3), np.uint8), r"Received: \[1, 8, 9, 3\]"),
        ("uint8", np.zeros((1, 8, 8, 3), np.float32), "takes uint8 images .* Received: float32"),
        ("float32", np.zeros((1, 8, 8, 3), np.float64), "uint8 or float32 .* Received: float64"),
        ("float32", np.zeros((0, 8, 8, 3), np.int32), "Received: int32"),
    ],
)
def test_other_arrays_are_refused(write_model, dtype, images, message):
    with pytest.raises(ValueError, match=message):
        Model(write_model(dtype=dtype), device="cpu").run(images)


def test_threads_get_their_own_answers(write_model):
    model = Model(write_model(), device="cpu")
    levels = range(0, 256, 5)

    def mean_of(level: int) -> float:
        return float(model.run(np.full((3, 8, 8, 3), level, np.uint8)).logits[2, 1])

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(mean_of, levels))
    assert found == pytest.approx([level / 255 for level in levels], abs=1e-6)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"format_version": None}, "was not written by `python -m export`"),
        ({"labels": '["a", "b"]'}, r"expected logits \[1, 2\] .* found \[1, 3\]"),
        ({"image_size": "[8, 9]"}, r"expected one input image \[N, 8, 9, 3\]"),
        ({"explain": "none"}, "expected the outputs logits, probabilities, found .*heatmap"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(write_model, metadata, message):
    with pytest.raises(ValueError, match=message):
        Model(write_model(metadata=metadata), device="cpu")


def test_a_file_that_lacks_the_heatmap_it_promises(write_model):
    path = write_model(explain="none", metadata={"explain": "cam", "target_layer": "x"})
    with pytest.raises(ValueError, match="probabilities, heatmap, found logits, probabilities"):
        Model(path, device="cpu")


def changed(path, change) -> None:
    model = onnx.load(str(path))
    change(model.graph)
    onnx.save(model, str(path))


def test_a_fixed_batch_is_refused(write_model):
    path = write_model(explain="none")
    changed(path, lambda g: setattr(g.input[0].type.tensor_type.shape.dim[0], "dim_value", 1))
    with pytest.raises(ValueError, match=r"found image \[1, 8, 8, 3\]"):
        Model(path, device="cpu")


def test_an_open_image_size_is_what_the_card_says(write_model):
    path = write_model(explain="none", metadata={"image_size": "[5, 6]"})

    def open_up(graph) -> None:
        for at, name in ((1, "H"), (2, "W")):
            graph.input[0].type.tensor_type.shape.dim[at].dim_param = name

    changed(path, open_up)
    model = Model(path, device="cpu")
    assert model.run(np.full((2, 5, 6, 3), 51, np.uint8)).logits[1, 0] == pytest.approx(0.2)


def test_what_the_session_cannot_run_is_told_at_once(write_model):
    path = write_model(size=8)

    def break_up(graph) -> None:
        for constant in graph.initializer:
            if constant.name == "blocks_shape":
                shape = np.array([-1, 4, 2, 4, 2, 5], np.int64)
                constant.CopyFrom(onnx.numpy_helper.from_array(shape, "blocks_shape"))
        del graph.output[2].type.tensor_type.shape.dim[:]

    changed(path, break_up)
    with pytest.raises(RuntimeError, match="failed on 1 images by .*Reshape") as caught:
        Model(path, device="cpu")
    assert "\n" not in str(caught.value)


def test_float16_metadata_of_any_order(write_model):
    entries = {"precision": "fp16", "test_accuracy": "0.5", "versions": json.dumps({})}
    card = Model(write_model(metadata=entries), device="cpu").card
    assert (card.precision, card.test_accuracy, card.versions) == ("fp16", 0.5, {})
