"""Metadata of an exported file, so that serving needs no other file."""

from __future__ import annotations

import json
from collections.abc import Sequence

import onnx

from export.cue_shares import ExportedCue
from export.source import Source, versions

FORMAT_VERSION = "1"
RESIZE_RULE = "stretch_bilinear_antialiased"
"""How `proxy_keras.data.images` resizes; servers must do the same."""


def describe(
    model: onnx.ModelProto,
    source: Source,
    *,
    explain: str,
    target_layer: str | None,
    precision: str,
    parity: dict[str, object],
    cues: Sequence[ExportedCue] = (),
) -> None:
    """Write the metadata into the model.

    Args:
        model: The ONNX model. Changed in place.
        source: The model it was exported from.
        explain: The attribution method, or "none".
        target_layer: The explained layer; None: no heatmap.
        precision: "fp32", "fp16" or "int8".
        parity: The report of the comparison with Keras.
        cues: The cues of the output `cues`, by column; empty: the file has none.
    """
    known = {
        "format_version": FORMAT_VERSION,
        "name": source.name,
        "labels": json.dumps(source.classes, ensure_ascii=False),
        "image_size": json.dumps(list(source.image_size)),
        "resize_rule": RESIZE_RULE,
        "value_range": json.dumps([0, 255]),
        "explain": explain,
        "target_layer": target_layer,
        "precision": precision,
        "split_sha256": source.split_sha256,
        "test_accuracy": None if source.test_accuracy is None else repr(source.test_accuracy),
        "versions": json.dumps(versions()),
        "parity": json.dumps(parity),
        "cues": json.dumps([_entry(cue) for cue in cues], ensure_ascii=False) if cues else None,
    }
    onnx.helper.set_model_props(model, {k: v for k, v in known.items() if v is not None})
    model.producer_name = "proxy-attention-keras"
    model.doc_string = (
        "Input: RGB images in [0, 255]. Outputs: logits, probabilities and, if explained, a "
        "heatmap in [0, 1] of the predicted class."
    )
    if cues:
        model.doc_string += (
            " cues: the share of each image's evidence for its predicted class on each cue, which "
            "the metadata name by column; ticked_share: that on the ticked ones."
        )


def _entry(cue: ExportedCue) -> dict[str, str | bool]:
    return {"name": cue.name, "ticked": cue.is_ticked, "description": cue.description}
