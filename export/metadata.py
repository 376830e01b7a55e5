"""What an exported file says of itself, so that whoever serves it needs nothing else."""

from __future__ import annotations

import json

import onnx

from export.source import Source, versions

FORMAT_VERSION = "1"
RESIZE_RULE = "stretch_bilinear_antialiased"
"""The rule of `proxy_keras.data.images`; whoever serves the file must follow it."""


def describe(
    model: onnx.ModelProto,
    source: Source,
    *,
    explain: str,
    target_layer: str | None,
    precision: str,
    parity: dict[str, object],
) -> None:
    """Writes the description into the model.

    Args:
        model: The ONNX model, which is changed.
        source: What it was made of.
        explain: The attribution method, or "none".
        target_layer: The layer explained; None: nothing is.
        precision: "fp32", "fp16" or "int8".
        parity: The report of the check against Keras.
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
    }
    onnx.helper.set_model_props(model, {k: v for k, v in known.items() if v is not None})
    model.producer_name = "proxy-attention-keras"
    model.doc_string = (
        "Input: RGB images in [0, 255]. Outputs: logits, probabilities and, if explained, a "
        "heatmap in [0, 1] of the predicted class."
    )
