"""The shares of evidence on cues: those of Keras, by name, and only of the network itself."""

from __future__ import annotations

import json

import keras
import numpy as np
import onnx
import pytest
from keras import layers

from export.__main__ import main
from export.cue_shares import exported_cues
from export.exporter import export_model
from proxy_keras import Cues, find_cues
from proxy_keras.models.vit_base_patch16_224 import encode
from serve.model import Model

SHAPE = (16, 16, 3)


@pytest.fixture(scope="module")
def images():
    """[40, 16, 16, 3] uint8: blocks of random colours."""
    blocks = np.random.default_rng(5).integers(0, 256, (40, 4, 4, 3))
    return blocks.repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)


def _found(model, images, **options):
    """Return cues of a model; the first one and a part of the second are ticked."""
    known = {"clusters": 9, "shown": 3, "verbose": 0, **options}
    cues = find_cues(model, images, **known)
    divided = next(name for name in cues.shown[1:] if cues.tree.halves_of(name))
    cues.tick([cues.shown[0], divided + "b"])
    return cues


def _export(*words):
    return main([*map(str, words), "--quiet", "--explain", "none"])


def _nested(make_model):
    inner = make_model("deep")
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, inner(layers.Rescaling(1.0, offset=3.0)(inputs)))


def _vit():
    keras.utils.set_random_seed(3)
    inputs = keras.Input(SHAPE)
    scaled = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    tokens = encode(scaled, patch=4, num_blocks=2, num_heads=2, width=12, mlp_width=24)
    return keras.Model(inputs, layers.Dense(3, dtype="float32", name="logits")(tokens[:, 0]))


def _half(make_model):
    keras.config.set_dtype_policy("mixed_float16")
    model = make_model("pooled")
    keras.config.set_dtype_policy("float32")
    return model


@pytest.mark.parametrize(
    "kind",
    ["linear", "pooled", "nested", pytest.param("vit", marks=pytest.mark.slow), "mixed_float16"],
)
def test_a_file_returns_the_shares_of_keras(kind, make_model, make_source, images, tmp_path):
    builders = {"nested": _nested, "vit": lambda _: _vit(), "mixed_float16": _half}
    model = builders.get(kind, lambda make: make(kind))(make_model)
    options = {"target_layer": "transformer_block_2_ln_1"} if kind == "vit" else {}
    cues = _found(model, images, **options)
    exported = export_model(make_source(model), tmp_path / "m.onnx", cues=cues)
    compared = [d for d in exported.parity.differences if d.output.startswith(("cues", "ticked"))]
    assert [d.batch_size for d in compared] == [1, 1, 7, 7]
    assert all(d.value <= 1e-5 and d.limit == 1e-5 for d in compared)

    served = Model(exported.file, device="cpu")
    names = [cue.name for cue in served.card.cues]
    answers = served.run(images)
    np.testing.assert_allclose(answers.cues, cues.shares(images, names), atol=1e-5)
    np.testing.assert_allclose(answers.ticked_share, cues.ticked_share(images), atol=1e-5)
    assert np.ptp(answers.ticked_share) > 0.1
    is_ticked = np.array([cue.ticked for cue in served.card.cues])
    np.testing.assert_allclose(
        answers.cues[:, is_ticked].sum(axis=1), answers.ticked_share, atol=1e-6
    )
    # An image may have no evidence in any cell.
    assert set(answers.cues.sum(axis=1).round(5).tolist()) <= {0.0, 1.0}


def test_the_shares_are_those_of_the_closed_form(make_model, make_source, images, tmp_path):
    model = make_model()
    cues = _found(model, images)
    file = export_model(make_source(model), tmp_path / "m.onnx", cues=cues, explain="none").file
    features = keras.Model(model.inputs, model.get_layer("cells").output)([images]).numpy()
    weights = model.layers[-1].kernel.numpy()
    predicted = model(images).numpy().argmax(axis=1)
    against_mean = weights[:, predicted].T - weights.mean(axis=1)
    evidence = np.maximum((features * against_mean[:, None, None]).sum(axis=-1), 0)
    units = features / np.linalg.norm(features, axis=-1, keepdims=True)
    nearest = (units @ cues.tree.clusters.centroids.T).argmax(axis=-1)
    on_ticked = np.where(cues.ticked_clusters[nearest], evidence, 0).sum(axis=(1, 2))
    found = Model(file, device="cpu").run(images)
    assert found.heatmaps is None
    np.testing.assert_allclose(found.ticked_share, on_ticked / evidence.sum(axis=(1, 2)), atol=1e-5)
    # What the heatmap and the cues have in common is computed once.
    graph = onnx.load(file).graph
    assert [node.op_type for node in graph.node].count("Conv") == 2


def test_a_cue_that_is_ticked_in_part_is_opened(make_model, images):
    cues = find_cues(make_model(), images, clusters=9, shown=3, verbose=0)
    assert [cue.is_ticked for cue in exported_cues(cues)] == [False] * 3
    whole = next(name for name in cues.shown if cues.tree.halves_of(name))
    cues.tick([whole + "a"])
    opened = exported_cues(cues)
    position = cues.shown.index(whole)
    assert [cue.name for cue in opened[position : position + 2]] == [whole + "a", whole + "b"]
    assert [cue.name for cue in opened if cue.is_ticked] == [whole + "a"]
    cues.tick([whole + "b"])
    assert [cue.name for cue in exported_cues(cues)] == cues.shown
    assert "of all evidence, present in" in opened[0].description


def test_the_heatmap_may_be_of_another_layer(make_model, make_source, images, tmp_path):
    model = make_model("deep")
    cues = _found(model, images, target_layer="bn")
    exported = export_model(
        make_source(model), tmp_path / "m.onnx", cues=cues, target_layer="cells"
    )
    answers = Model(exported.file, device="cpu").run(images)
    np.testing.assert_allclose(answers.ticked_share, cues.ticked_share(images), atol=1e-5)
    convolutions = [n.op_type for n in onnx.load(exported.file).graph.node].count("Conv")
    # Two of the network, one of the gradient back to "bn".
    assert convolutions == 3


@pytest.mark.slow
def test_tokens_of_two_layers_are_arranged_as_grids(make_source, images, tmp_path):
    model = _vit()
    cues = _found(model, images, target_layer="transformer_block_1_ln_1")
    file = tmp_path / "m.onnx"
    export_model(make_source(model), file, cues=cues, target_layer="transformer_block_1_mha")
    answers = Model(file, device="cpu").run(images)
    np.testing.assert_allclose(answers.ticked_share, cues.ticked_share(images), atol=1e-5)


def test_an_image_without_evidence_has_no_shares(make_model, make_source, images, tmp_path):
    model = make_model("deep")
    cues = _found(model, images)
    # No unit of the hidden layer fires, so nothing has a gradient.
    model.layers[-2].bias.assign(np.full(9, -1e6, "float32"))
    cues.model.set_weights(model.get_weights())
    cues._reader.__init__(model)
    file = export_model(make_source(model), tmp_path / "m.onnx", cues=cues, explain="none").file
    answers = Model(file, device="cpu").run(images[:2])
    np.testing.assert_array_equal(answers.cues, np.zeros_like(answers.cues))
    np.testing.assert_array_equal(answers.ticked_share, [0.0, 0.0])


def test_fp16_keeps_the_cues_in_float32(make_model, make_source, images, tmp_path):
    model = make_model()
    cues = _found(model, images)
    exported = export_model(
        make_source(model), tmp_path / "m.onnx", cues=cues, precision="fp16", explain="none"
    )
    kinds = {item.name: item.data_type for item in onnx.load(exported.file).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds.values()
    limits = {d.limit for d in exported.parity.differences if d.output.startswith("cues")}
    assert limits == {None}
    shares = Model(exported.file, device="cpu").run(images).ticked_share
    assert np.abs(shares - cues.ticked_share(images)).mean() < 0.02


def test_cues_of_another_network_or_without_a_tick_are_refused(
    make_model, make_source, images, tmp_path
):
    cues = _found(make_model(), images)
    other = make_model()
    other.layers[-1].bias.assign([0.0, 0.0, 1e-3])
    source = make_source(other, path="runs/b")
    message = r"the cues of another network than runs/b\..*python -m proxy_keras.cues runs/b"
    with pytest.raises(ValueError, match=message):
        export_model(source, tmp_path / "m.onnx", cues=cues)
    with pytest.raises(ValueError, match="another network"):
        export_model(make_source(make_model("deep")), tmp_path / "m.onnx", cues=cues)
    cues.undo(), cues.undo()
    with pytest.raises(ValueError, match="At least one cue must be ticked"):
        export_model(make_source(make_model()), tmp_path / "m.onnx", cues=cues)
    assert list(tmp_path.iterdir()) == []


def test_a_head_without_a_derivative_is_refused_by_its_name(make_source, images, tmp_path):
    keras.utils.set_random_seed(1)
    inputs = keras.Input(SHAPE)
    cells = layers.Conv2D(4, 3, strides=4, activation="relu", name="cells")(inputs)
    memory = layers.SimpleRNN(5, name="memory")(layers.Reshape((16, 4))(cells))
    model = keras.Model(inputs, layers.Dense(3)(memory))
    cues = find_cues(model, images, clusters=5, target_layer="cells", verbose=0)
    cues.tick(["1"])
    with pytest.raises(ValueError, match=r"Cues need the gradient through 'memory'.*--no-cues"):
        export_model(make_source(model), tmp_path / "m.onnx", cues=cues, explain="layer_score_cam")


def test_the_command_takes_the_cues_of_the_run(make_model, images, tmp_path, capsys):
    model, run = make_model(), tmp_path / "run"
    run.mkdir()
    model.save(run / "model.keras")
    cues = _found(model, images)
    cues.save(run / "cues")
    file = tmp_path / "m.onnx"

    def names():
        card = {item.key: item.value for item in onnx.load(file).metadata_props}
        return [cue["name"] for cue in json.loads(card.get("cues", "[]")) if cue["ticked"]]

    ticked = [cue.name for cue in exported_cues(cues) if cue.is_ticked]
    assert _export(run, "--out", file) == 0 and names() == ticked
    assert _export(run / "model.keras", "--out", file) == 0 and names() == ticked
    assert _export(run, "--out", file, "--no-cues") == 0 and names() == []
    assert len(onnx.load(file).graph.output) == 2
    assert _export(run, "--out", file, "--cues", run / "cues") == 0 and names() == ticked
    capsys.readouterr()
    assert _export(run, "--out", file, "--cues", run / "cues", "--no-cues") == 2
    assert "exclude each other" in capsys.readouterr().err
    assert _export(run, "--out", file, "--cues", tmp_path) == 2
    assert "not a folder of cues" in capsys.readouterr().err
    # With nothing ticked they are left out, unless they are asked for.
    untouched = Cues.load(run / "cues")
    untouched.undo(), untouched.undo()
    untouched.save(run / "cues")
    assert _export(run, "--out", file) == 0 and names() == []
    assert _export(run, "--out", file, "--cues", run / "cues") == 2
    assert "At least one cue must be ticked" in capsys.readouterr().err
    # A file outside a run has no cues of its own.
    model.save(tmp_path / "alone.keras")
    assert _export(tmp_path / "alone.keras", "--out", file) == 0 and names() == []
