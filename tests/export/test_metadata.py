"""What a file says of itself, read back by the package that serves it."""

import json

import onnx
import pytest

from export.cue_shares import ExportedCue
from export.metadata import describe
from serve.card import Cue, ModelCard


def _card(source, **changes):
    model = onnx.ModelProto()
    known = {"explain": "grad_cam", "target_layer": "cells", "precision": "fp32"}
    describe(model, source, parity={"passed": True}, **{**known, **changes})
    metadata = {item.key: item.value for item in model.metadata_props}
    return ModelCard.from_metadata(metadata, path="f.onnx"), metadata


def test_the_server_reads_what_export_writes(make_model, make_source):
    source = make_source(
        make_model(), classes=["Katze", "été", "犬"], split_sha256="ab" * 32, test_accuracy=0.875
    )
    card, metadata = _card(source)
    assert card.labels == ("Katze", "été", "犬") and "été" in metadata["labels"]
    assert (card.name, card.image_size, card.explain) == ("small", (16, 16), "grad_cam")
    assert (card.target_layer, card.precision) == ("cells", "fp32")
    assert (card.split_sha256, card.test_accuracy) == ("ab" * 32, 0.875)
    assert card.versions["keras"].startswith("3.")
    assert json.loads(metadata["parity"]) == {"passed": True}


def test_cues_are_named_by_column(make_model, make_source):
    cues = [ExportedCue("3", True, "dots"), ExportedCue("1b", False, "été")]
    card, metadata = _card(make_source(make_model()), cues=cues)
    assert card.cues == (Cue("3", True, "dots"), Cue("1b", False, "été"))
    assert json.loads(metadata["cues"])[0] == {"name": "3", "ticked": True, "description": "dots"}
    assert "cues" not in _card(make_source(make_model()))[1]


@pytest.mark.parametrize("key", ["split_sha256", "test_accuracy", "target_layer"])
def test_what_is_not_known_is_absent(key, make_model, make_source):
    card, metadata = _card(make_source(make_model()), explain="none", target_layer=None)
    assert key not in metadata and getattr(card, key) is None
