"""The card contains what export wrote; anything else is refused with advice."""

from __future__ import annotations

import json

import pytest

from serve.card import Cue, ModelCard

METADATA = {
    "format_version": "1",
    "name": "resnet18",
    "labels": '["cat", "d\\u00f6g", "cat"]',
    "image_size": "[224, 160]",
    "resize_rule": "stretch_bilinear_antialiased",
    "value_range": "[0, 255]",
    "explain": "grad_cam",
    "target_layer": "conv5_block3_out",
    "precision": "fp16",
    "split_sha256": "ab" * 32,
    "test_accuracy": "0.9312",
    "versions": '{"keras": "3.15.1"}',
}


def card(**changes: str | None) -> ModelCard:
    entries = {key: value for key, value in {**METADATA, **changes}.items() if value is not None}
    return ModelCard.from_metadata(entries, path="m.onnx")


def test_all_entries_are_read():
    assert card() == ModelCard(
        name="resnet18",
        labels=("cat", "dög", "cat"),
        image_size=(224, 160),
        explain="grad_cam",
        target_layer="conv5_block3_out",
        precision="fp16",
        split_sha256="ab" * 32,
        test_accuracy=0.9312,
        versions={"keras": "3.15.1"},
    )
    assert card().has_heatmap


def test_what_is_not_known_may_be_absent():
    plain = card(explain="none", target_layer=None, split_sha256=None, test_accuracy=None)
    assert (plain.target_layer, plain.split_sha256, plain.test_accuracy) == (None, None, None)
    assert not plain.has_heatmap


def test_cues_are_read_in_the_order_of_their_columns():
    entries = [
        {"name": "3", "ticked": True, "description": "dots", "later": 1},
        {"name": "1b", "ticked": False, "description": ""},
    ]
    found = card(cues=json.dumps(entries))
    assert found.cues == (Cue("3", True, "dots"), Cue("1b", False, ""))
    assert card().cues == ()


def test_a_file_of_another_origin_is_told_from_ours():
    with pytest.raises(ValueError, match=r"'m.onnx' was not written by `python -m export`"):
        card(format_version=None)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format_version", "2", "format_version '2', but this version supports only '1'"),
        ("resize_rule", "crop", "resize_rule 'crop'"),
        ("value_range", "[0, 1]", r"value_range must be \[0, 255\]"),
        ("value_range", None, "has no 'value_range'"),
        ("name", "", "has no 'name'"),
        ("labels", "cat, dog", "labels must be JSON"),
        ("labels", "[]", "labels must be a list of class names"),
        ("labels", '"cat"', "labels must be a list of class names"),
        ("labels", "[1, 2]", "labels must be a list of class names"),
        ("image_size", "224", "image_size must be"),
        ("image_size", "[224]", "image_size must be"),
        ("image_size", "[0, 224]", "image_size must be"),
        ("image_size", "[224.0, 224]", "image_size must be"),
        ("image_size", "[true, 224]", "image_size must be"),
        ("explain", None, "has no 'explain'"),
        ("target_layer", None, "has no 'target_layer'"),
        ("precision", "fp8", "precision must be one of fp32, fp16, int8"),
        ("test_accuracy", "93 %", r"test_accuracy must be a number in \[0, 1\]"),
        ("test_accuracy", "93.1", r"test_accuracy must be a number in \[0, 1\]"),
        ("test_accuracy", "nan", r"test_accuracy must be a number in \[0, 1\]"),
        ("cues", "3", "cues must be a list such as"),
        ("cues", "[]", "cues must be a list such as"),
        ("cues", '["3"]', "cues must be a list such as"),
        ("cues", '[{"name": "3", "ticked": 1, "description": ""}]', "cues must be a list such as"),
        ("cues", '[{"name": 3, "ticked": true, "description": ""}]', "cues must be a list such"),
        (
            "cues",
            json.dumps([{"name": "3", "ticked": True, "description": ""}] * 2),
            "a list of cues with different names",
        ),
        ("versions", "[]", "versions must be versions by library"),
        ("versions", json.dumps({"keras": 3}), "versions must be versions by library"),
    ],
)
def test_an_entry_that_is_missing_or_wrong_is_named(key, value, message):
    with pytest.raises(ValueError, match=message) as caught:
        card(**{key: value})
    assert "m.onnx" in str(caught.value)
    assert "xport" in str(caught.value)
