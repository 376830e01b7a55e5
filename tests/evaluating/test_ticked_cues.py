"""Ticked cues: where they come from, and how much of the evidence lies on them."""

import json
import shutil
from types import SimpleNamespace

import jsonschema_rs
import numpy as np
import pytest

from proxy_keras import Cues, evaluate, find_cues
from proxy_keras.cues.object_cells import area_shares
from proxy_keras.evaluating import evaluation
from proxy_keras.evaluating.evaluated_model import EvaluatedModel
from proxy_keras.evaluating.findings import derive_findings
from proxy_keras.evaluating.model_results import ModelResults
from proxy_keras.evaluating.options import EvaluationOptions
from proxy_keras.evaluating.predictions import Predictions
from proxy_keras.evaluating.report_parts import Table, Text
from proxy_keras.evaluating.ticked_evidence import (
    evidence_shares,
    have_same_weights,
    measure_ticked,
)
from proxy_keras.evaluating.ticked_section import draw_ticked, ticked_section
from proxy_keras.evaluating.ticked_source import find_ticked
from proxy_keras.settings import ProxyConfig
from tests.evaluating.coloured_images import colour_model, coloured_images
from tests.evaluating.example_results import results_of_answers
from tests.evaluating.test_findings import metrics_of

QUIET = EvaluationOptions(quiet=True)
CLASSES = ["red", "green", "none"]
IMAGES, LABELS = coloured_images(40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of cues with the corner ticked."""
    cues = find_cues(colour_model(), IMAGES, LABELS, clusters=8, verbose=0)
    cues.classes = CLASSES
    corner = max(cues.shown, key=lambda name: cues.facts(name).position)
    cues.tick([corner])
    folder = tmp_path_factory.mktemp("ticked") / "cues"
    cues.save(folder)
    return folder


@pytest.fixture
def split(build_split):
    made = build_split(IMAGES, LABELS)
    made.classes = CLASSES[:2]
    return made


def model_of(model, file, run=None, name="this"):
    return EvaluatedModel(name, model, CLASSES, file, run)


def results_of(split, model, name="this"):
    made = model_of(model, None, name=name)
    predictions = Predictions(model.predict(IMAGES, verbose=0), LABELS)
    return ModelResults(made, split, predictions, None, None, None, 0)


def run_of(folder, cues):
    config = SimpleNamespace(proxy=ProxyConfig(cues=cues))
    return SimpleNamespace(folder=folder, config=config)


def measured(folder, split, model, other=None):
    ticked = find_ticked(folder, [model_of(model, folder)], split)
    others = None if other is None else results_of(split, other, "other")
    return measure_ticked(ticked, split, results_of(split, model), others, QUIET)


def test_masks_are_resized_by_area():
    mask = np.zeros([1, 4, 4], bool)
    mask[0, 0, 0] = mask[0, 3, 2:] = True
    assert area_shares(mask, (2, 2)).tolist() == [[[0.25, 0.0], [0.0, 0.5]]]
    np.testing.assert_array_equal(area_shares(mask, (4, 4)), mask)
    finer = area_shares(mask, (8, 8))
    assert finer.sum() == 12 and set(np.unique(finer)) == {0.0, 1.0}
    thirds = area_shares(np.array([[[True, False]]]), (1, 3))
    np.testing.assert_allclose(thirds, [[[1.0, 0.5, 0.0]]], atol=1e-6)


def test_the_share_of_the_evidence_in_a_region_is_exact():
    evidence = np.array([[[1.0, 0.5], [0.25, 0.25]], np.zeros([2, 2])], np.float32)
    mask = np.array([[[True, False], [False, True]]] * 2)
    assert evidence_shares(evidence, mask).tolist() == [1.25 / 2.0, 0.0]
    # Half of the second column.
    half = np.zeros([2, 4, 4], bool)
    half[:, :, 3] = True
    assert evidence_shares(evidence, half).tolist() == [0.375 / 2.0, 0.0]


def test_the_evidence_of_the_network_of_the_cues_and_of_another_is_exact(folder, split):
    # In units of the colour, the square's evidence is 1 - 1/3, the corner's a third of its weight.
    found = measured(folder, split, colour_model(0.25))
    assert found.has_region.all() and found.regions.sum() == 40
    np.testing.assert_allclose(found.before.shares, 3 / 11, rtol=1e-5)
    np.testing.assert_allclose(found.this.shares, 1 / 9, rtol=1e-5)
    told = found.to_dict()
    assert told["area"] == 1 / 16 and told["images_with_cue"] == 40
    assert told["change"]["share"]["value"] == pytest.approx(1 / 9 - 3 / 11)
    assert told["networks"]["this"]["accuracy_with_cue"] == 1.0
    assert told["networks"]["this"]["target_layer"] == "colours"
    assert told["against"] is None and not found.is_same


def test_a_network_with_other_cells_is_measured_in_the_same_region(folder, split):
    found = measured(folder, split, colour_model(0.25, cells=8))
    np.testing.assert_allclose(found.this.shares, 1 / 9, rtol=1e-5)


def test_two_networks_are_compared_in_pairs(folder, split):
    found = measured(folder, split, colour_model(0.0), colour_model(0.25))
    told = found.to_dict()
    np.testing.assert_allclose(found.this.shares, 0.0)
    np.testing.assert_allclose(found.other.shares, 1 / 9, rtol=1e-5)
    low, high = told["against"]["share"]["interval"]
    # All images agree, so the interval is a point.
    assert told["against"]["share"]["value"] == pytest.approx(-1 / 9)
    assert (low, high) == pytest.approx((-1 / 9, -1 / 9))


def test_the_network_of_the_cues_itself_has_no_change(folder, split):
    found = measured(folder, split, colour_model())
    assert found.is_same and found.to_dict()["change"] is None
    section = ticked_section({"ticked_cues": found.to_dict()}, None)
    (table,) = [part for part in section.parts if isinstance(part, Table)]
    assert [row[0] for row in table.rows] == ["this", "spread evenly"]
    assert section.parts[-1].text.startswith("The cues were found in this model. Train one")
    other = measured(folder, split, colour_model(), colour_model(0.5))
    assert isinstance(ticked_section({"ticked_cues": other.to_dict()}, None).parts[-1], Table)
    assert not have_same_weights(colour_model(), colour_model(0.5))


def test_images_are_shown_with_the_region_and_the_shares(folder, split):
    found = measured(folder, split, colour_model(0.25))
    drawn = draw_ticked(found, split, [f"{n}.png" for n in range(40)])
    assert len(drawn.images) == 6
    first = drawn.images[0]
    assert (first.outline, first.cells) == ("M3 3h1M3 4h1M3 3v1M4 3v1", (4, 4))
    assert [line.text for line in first.lines] == ["before: 27%, correct", "this: 11%, correct"]


def test_the_change_is_a_finding_and_stands_in_the_section(folder, split):
    metrics = metrics_of(results_of_answers([0, 1, 2], [0, 1, 2]))
    found = measured(folder, split, colour_model(0.25), colour_model(0.5))
    metrics["ticked_cues"] = found.to_dict()
    _, change, against = derive_findings(metrics)[:3]
    assert change.text == (
        "11% of the evidence lies on the ticked cues, compared with 27% in the network in which "
        "they were found (accuracy 100% and 100%). The model looks at them less."
    )
    assert change.metric == "ticked_cues.change.share.value"
    assert against.text.startswith("In the other model, 20% of the evidence lies on the ticked cue")
    assert "-8.9 points (95% interval -8.9 to -8.9)" in against.text
    metrics["ticked_cues"] = measured(folder, split, colour_model(2.0)).to_dict()
    assert "looks at them more" in derive_findings(metrics)[1].text
    metrics["ticked_cues"] = measured(folder, split, colour_model()).to_dict()
    assert derive_findings(metrics)[1].text.startswith("27% of the evidence lies on the ticked cue")
    metrics["ticked_cues"] = {"reason": "They are gone."}
    assert not any("ticked" in finding.text for finding in derive_findings(metrics))
    assert ticked_section(metrics, None).parts == [Text("They are gone.")]


def test_ticked_cues_are_those_given_else_trained_with_else_beside_the_model(
    folder, split, tmp_path
):
    model = colour_model(0.25)
    run = tmp_path / "run"
    run.mkdir()

    def found(cues=None, given=None, file=run / "model.keras"):
        one = model_of(model, file, run_of(run, cues))
        return find_ticked(given, [model_of(model, tmp_path / "a.keras"), one], split)

    assert found() is None and found("(not saved)") is None
    assert [found(name) for name in ("outside", "background", "planted")] == [None] * 3
    assert found(str(folder)).network.name == str(folder)
    gone = found(str(tmp_path / "gone"))
    assert "was trained with the ticked cues in" in gone and "--cues DIR" in gone
    shutil.copytree(folder, run / "cues")
    assert found().network.name == str(run / "cues")
    assert found(str(folder)).network.name == str(folder)
    assert found("outside", given=folder).network.name == str(folder)
    assert found(file=run / "best.keras") is None
    shutil.copytree(folder, tmp_path / "a_cues")
    assert found(str(folder)).network.name == str(tmp_path / "a_cues")
    (tmp_path / "a_cues" / "images.npz").write_bytes(b"x")
    assert "cannot be used" in found()


def test_cues_without_ticks_are_refused_if_given_and_else_passed_over(folder, split, tmp_path):
    cues = Cues.load(folder)
    cues.undo()
    cues.save(tmp_path / "a_cues")
    model = model_of(colour_model(), tmp_path / "a.keras")
    assert find_ticked(None, [model], split) is None
    with pytest.raises(ValueError, match=r"No cue in .*a_cues is ticked\. .* RUN --page"):
        find_ticked(tmp_path / "a_cues", [model], split)


def test_cues_of_other_images_are_refused(folder, split, build_split):
    model = model_of(colour_model(), folder)
    larger = build_split(np.zeros([2, 32, 32, 3], np.uint8), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"of \(16, 16, 3\)\. Received: images of \(32, 32, 3\)"):
        find_ticked(folder, [model], larger)
    split.classes = ["red", "blue"]
    with pytest.raises(ValueError, match="classes of the images, red, blue. Received: red, green"):
        find_ticked(folder, [model], split)


def test_a_run_without_cues_names_the_method_of_its_proxies():
    proxy = SimpleNamespace(method="grad_cam", cues=None)
    run = SimpleNamespace(config=SimpleNamespace(proxy=proxy))
    assert evaluation._trained_with(run) == "grad_cam"
    proxy.cues = "outside"
    assert evaluation._trained_with(run) is evaluation._trained_with(None) is None


def test_cues_are_measured_or_left_out(folder, capsys):
    words = ["x", "--cues", str(folder), "--no-cues"]
    assert evaluate.main(words) == 2
    assert "leave out `--cues` or `--no-cues`" in capsys.readouterr().err


def test_a_report_tells_whether_a_model_stopped_looking(folder, tmp_path, capsys):
    np.savez(tmp_path / "images.npz", x_train=IMAGES, y_train=LABELS, classes=np.array(CLASSES[:2]))
    (tmp_path / "labels.json").write_text(json.dumps(CLASSES))
    colour_model(0.25).save(tmp_path / "mended.keras")
    colour_model(0.5).save(tmp_path / "other.keras")
    data = ["--data", f"npz:{tmp_path}/images.npz", "--quiet"]
    words = [str(tmp_path / "mended.keras"), "--against", str(tmp_path / "other.keras"), *data]
    words += ["--labels", str(tmp_path / "labels.json"), "--heat-images", "0", "--no-corruptions"]
    words += ["--against-labels", str(tmp_path / "labels.json"), "--cues", str(folder)]
    assert evaluate.main([*words, "--out", str(tmp_path / "x")]) == 0
    assert "- 11% of the evidence lies on the ticked cues" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "x" / "metrics.json").read_text())
    schema = json.loads((tmp_path / "x" / "metrics.schema.json").read_text())
    jsonschema_rs.Draft202012Validator(schema).validate(metrics)
    networks = metrics["ticked_cues"]["networks"]
    shares = [networks[key]["share"]["value"] for key in ("found_in", "this", "other")]
    assert shares == pytest.approx([3 / 11, 1 / 9, 1 / 5], rel=1e-5)
    html = (tmp_path / "x" / "report.html").read_text()
    assert html.index('id="ticked"') < html.index('id="cues"') < html.index('id="against"')
    command = f"python -m proxy_keras.cues {tmp_path}/mended.keras --data npz:{tmp_path}/images.npz"
    assert f"<pre>{command} --page</pre>" in html
    words = [word for word in words if word not in ("--cues", str(folder))]
    assert evaluate.main([*words, "--no-cues", "--out", str(tmp_path / "y")]) == 0
    metrics = json.loads((tmp_path / "y" / "metrics.json").read_text())
    assert metrics["cues"] is None and metrics["ticked_cues"] is None
    jsonschema_rs.Draft202012Validator(schema).validate(metrics)
    assert 'id="cues"' not in (tmp_path / "y" / "report.html").read_text()
