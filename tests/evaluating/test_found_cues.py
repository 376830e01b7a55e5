"""The cues of an evaluated model: found in the evaluated images, and which deserve a look."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from proxy_keras.cues.facts import CueFacts
from proxy_keras.evaluating.cue_section import cue_section
from proxy_keras.evaluating.cue_words import names_of
from proxy_keras.evaluating.evaluated_model import EvaluatedModel
from proxy_keras.evaluating.findings import derive_findings
from proxy_keras.evaluating.found_cues import (
    cue_command,
    find_evaluated_cues,
    read_images,
    reasons_to_look,
)
from proxy_keras.evaluating.options import EvaluationOptions
from proxy_keras.evaluating.report_page import to_html
from proxy_keras.evaluating.report_parts import Code, OutlinedGroups, Report, Text
from tests.evaluating.coloured_images import colour_model, coloured_images
from tests.evaluating.example_results import results_of_answers
from tests.evaluating.test_findings import metrics_of

QUIET = EvaluationOptions(quiet=True)
PLAIN = CueFacts(
    name="1",
    evidence_share=0.1,
    cell_share=0.1,
    present_in=30,
    classes=(0.5, 0.5),
    leads_in=20,
    leads_wrong=0.1,
    inside=0.6,
    inside_images=10,
    purity=0.9,
    is_mixture=False,
    mistakes_share=0.1,
    correct_share=0.1,
    position=0.1,
    suspicion=0.0,
)


def evaluated(model, classes=("0", "1", "2")):
    return EvaluatedModel("made", model, list(classes), Path(__file__), None)


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, []),
        ({"inside": 0.34}, ["outside"]),
        ({"inside": 0.35}, []),
        ({"inside": 0.0, "inside_images": 4}, []),
        ({"inside": None, "inside_images": 0}, []),
        ({"inside": 0.0, "evidence_share": 0.01}, []),
        ({"leads_wrong": 0.5}, ["errors"]),
        # 4 are too few to judge, and 1 of 5 may be chance.
        ({"leads_in": 4, "leads_wrong": 0.5}, []),
        ({"leads_in": 6, "leads_wrong": 0.5}, ["errors"]),
        ({"leads_in": 5, "leads_wrong": 0.2}, []),
        ({"leads_in": 0, "leads_wrong": None}, []),
        ({"position": 0.5}, ["position"]),
        ({"position": 0.5, "evidence_share": 0.01}, []),
        ({"position": 1.0, "present_in": 19}, []),
        ({"inside": 0.1, "leads_wrong": 0.5, "position": 1.0}, ["outside", "errors", "position"]),
    ],
)
def test_a_cue_deserves_a_look_by_its_place_and_by_its_errors(changes, reasons):
    facts = dataclasses.replace(PLAIN, **changes)
    # 10 of 100 images are misclassified.
    assert reasons_to_look(facts, 10, 100) == reasons


def test_a_cue_that_leads_everywhere_is_not_compared_with_elsewhere():
    facts = dataclasses.replace(PLAIN, leads_in=100, leads_wrong=0.5)
    assert reasons_to_look(facts, 50, 100) == []


def test_the_corner_deserves_a_look_because_it_is_always_in_the_same_place(build_split):
    images, labels = coloured_images(240)
    found = find_evaluated_cues(evaluated(colour_model()), build_split(images, labels), None, QUIET)
    told = found.to_dict()
    (corner,) = [cue for cue in told["found"] if cue["reasons"]]
    assert corner["reasons"] == ["position"]
    assert corner["evidence_share"] == pytest.approx(3 / 11, abs=0.002)
    assert told["suspicious"] == [corner["name"]]
    assert told["suspicious_share"] == corner["evidence_share"]
    assert (told["images"], told["images_with_known_object"]) == (240, 0)
    assert (told["error_rate"], told["target_layer"]) == (0.0, "colours")


def test_errors_are_counted_by_the_classes_of_the_model(build_split):
    images, labels = coloured_images(240)
    # The images have their classes in the other order.
    split = build_split(images, 1 - labels)
    split.classes = ["green", "red"]
    model = evaluated(colour_model(), ["red", "green", "none"])
    found = find_evaluated_cues(model, split, None, QUIET)
    assert found.to_dict()["error_rate"] == 0.0
    pictures = found.pictures(split, [f"{n}.png" for n in range(240)], seed=0)
    assert sorted(pictures) == ["1", "2", "3"]
    assert {one.label for of in pictures.values() for one in of} == {"red", "green"}
    assert not any(one.is_wrong for of in pictures.values() for one in of)
    assert all(len(of) == 6 for of in pictures.values())
    assert split.classes == ["green", "red"] and split.labels.tolist() == (1 - labels).tolist()


def test_shares_do_not_leave_their_range_by_rounding(build_split):
    images, labels = coloured_images(240)
    found = find_evaluated_cues(evaluated(colour_model()), build_split(images, labels), None, QUIET)
    with pytest.MonkeyPatch.context() as patched:
        facts = dataclasses.replace(PLAIN, purity=1.0 + 1e-8, position=-1e-17, evidence_share=0.7)
        facts = dataclasses.replace(facts, inside=1.0 + 1e-8, leads_wrong=0.9)
        patched.setattr(type(found.cues), "facts", lambda *_: facts)
        told = found.to_dict()
    assert told["suspicious_share"] == 1.0
    cue = told["found"][0]
    assert (cue["purity"], cue["position"], cue["inside"]) == (1.0, 0.0, 1.0)


def test_images_are_read_by_id(build_split):
    images, labels = coloured_images(5)
    found = read_images(build_split(images, labels), ["id3", "id1"])
    assert sorted(found) == ["id1", "id3"]
    np.testing.assert_array_equal(found["id3"], images[3])


def test_a_model_without_feature_maps_gets_a_reason(build_split):
    images, labels = coloured_images(5)
    shape = keras.Input([16, 16, 3])
    x = keras.layers.Dense(3)(keras.layers.Flatten()(shape))
    model = evaluated(keras.Model(shape, x))
    found = find_evaluated_cues(model, build_split(images, labels), None, QUIET)
    told = found.to_dict()
    assert list(told) == ["reason"] and told["reason"]
    assert found.pictures(build_split(images, labels), [""] * 5, 0) == {}
    (text,) = cue_section({"cues": told}, {}, "x").parts
    assert text.text == f"The cues could not be found. {told['reason']}"


def test_a_layer_that_was_asked_for_must_exist(build_split):
    images, labels = coloured_images(5)
    options = EvaluationOptions(target_layer="no_such_layer", quiet=True)
    with pytest.raises(ValueError, match="no_such_layer"):
        find_evaluated_cues(evaluated(colour_model()), build_split(images, labels), None, options)


def cues_of(*reasons):
    """Return `cues` of `metrics.json` with one cue for each list of reasons."""
    found = [
        {
            **{name: getattr(PLAIN, name) for name in ("cell_share", "present_in", "leads_in")},
            **{"name": str(number), "evidence_share": 0.2, "leads_wrong": 0.75, "inside": 0.125},
            **{"inside_images": 9, "purity": 0.9, "is_mixture": number == 2, "position": 0.6},
            **{"suspicion": 0.1, "reasons": list(of)},
        }
        for number, of in enumerate(reasons, start=1)
    ]
    suspicious = [cue["name"] for cue in found if cue["reasons"]]
    return {
        "target_layer": "conv",
        "images": 120,
        "images_with_known_object": 50,
        "error_rate": 0.25,
        "suspicious": suspicious,
        "suspicious_share": 0.2 * len(suspicious),
        "found": found,
    }


def test_the_most_suspicious_cue_is_a_finding():
    metrics = metrics_of(results_of_answers([0, 1, 2], [0, 1, 2]))
    metrics["cues"] = cues_of([], ["outside", "errors"], ["position"])
    finding = derive_findings(metrics)[1]
    assert (finding.metric, finding.value) == ("cues.suspicious_share", 0.4)
    assert finding.text == (
        "Of the 3 cues that the model looks at, cues 2 and 3 deserve a look (40% of the evidence). "
        "Cue 2: 12% of its evidence lies on the object, and where it leads, 75% of the images are "
        "misclassified (25% of all are). See 'What it looks at'."
    )
    metrics["cues"] = cues_of(["position"], [])
    assert "cue 1 deserves a look (20% of the evidence)" in derive_findings(metrics)[1].text
    for cues in (None, {"reason": "There is no layer."}, cues_of([], [])):
        metrics["cues"] = cues
        assert not any("cue" in finding.text for finding in derive_findings(metrics))


def test_the_section_says_which_cues_to_look_at_and_how_to_tick_them():
    section = cue_section({"cues": cues_of(["errors"], [], [])}, {}, "the command")
    texts = [part.text for part in section.parts if isinstance(part, Text)]
    assert "Cue 1 deserves a look (20% of the evidence)." in texts[1]
    assert Code("the command") in section.parts
    (groups,) = [part for part in section.parts if isinstance(part, OutlinedGroups)]
    assert [len(group.lines) for group in groups.groups] == [2, 2, 1]
    assert groups.groups[0].lines[0].text == (
        "20.0% of the evidence, present in 30 of 120 images; 12% of it on the object; purity 0.90."
    )
    quiet = cue_section({"cues": cues_of([], [])}, {}, "x")
    assert "That does not rule out a shortcut" in quiet.parts[1].text


def test_all_suspicious_cues_are_open_and_the_others_collapsed():
    reasons = [[] for _ in range(10)]
    reasons[7] = ["errors"]
    parts = cue_section({"cues": cues_of(*reasons)}, {}, "x").parts
    opened, collapsed = [part for part in parts if isinstance(part, OutlinedGroups)]
    assert [len(opened.groups), len(collapsed.groups)] == [8, 2]
    assert (opened.summary, collapsed.summary) == ("", "The other 2 cues")


def test_outlines_are_drawn_on_the_page(build_split):
    images, labels = coloured_images(240)
    split = build_split(images, labels)
    found = find_evaluated_cues(evaluated(colour_model()), split, None, QUIET)
    hostile = ['<b onclick="x">' for _ in images]
    section = cue_section({"cues": found.to_dict()}, found.pictures(split, hostile, 0), "x")
    html = to_html(Report("t", "s", [], [section]))
    assert html.count('viewBox="0 0 4 4"') == 18
    # The corner is the last of four cells in each direction.
    corner = 'd="M3 3h1M3 4h1M3 3v1M4 3v1"'
    assert html.count(corner) == 2 * 6
    assert "<b onclick" not in html


@pytest.mark.parametrize(
    ("names", "words"),
    [(["3"], "cue 3"), (["1", "3"], "cues 1 and 3"), (["1", "3", "7"], "cues 1, 3 and 7")],
)
def test_cues_are_named_in_words(names, words):
    assert names_of(names) == words


def test_the_command_finds_the_images_again():
    assert cue_command(Path("runs/a"), None) == "python -m proxy_keras.cues runs/a --page"
    words = "python -m proxy_keras.cues 'my model.keras' --data photos --page"
    assert cue_command(Path("my model.keras"), "photos") == words
