"""Inference answers of the Open Inference Protocol: from the model's outputs to bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from serve.protocol.request import InferRequest, RequestedOutput
from serve.protocol.spec import MODEL_VERSION, JsonObject, ModelSpec

HEADER_LENGTH = "Inference-Header-Content-Length"


def build_infer_response(
    request: InferRequest, spec: ModelSpec, arrays: Mapping[str, NDArray[np.float32]]
) -> tuple[bytes, dict[str, str]]:
    """Returns the answer's body, and the headers that belong to it.

    Args:
        request: What was asked.
        spec: Of the model that answered.
        arrays: Each output's rows for this request, by the output's name; finite.
    Returns:
        The body: JSON, and behind it the bytes of the outputs that were wanted in binary form. The
        headers: Content-Type, and Inference-Header-Content-Length where bytes follow.
    Raises:
        ValueError: An array for the JSON part is not finite; JSON has no number for that.
    Source: KServe, Open Inference Protocol (V2), "Inference"; Triton, binary tensor data extension.
    """
    outputs: list[JsonObject] = []
    parts: list[bytes] = []
    for wanted in request.outputs:
        entry, part = _output(wanted, arrays[wanted.name], spec.labels)
        outputs.append(entry)
        if part is not None:
            parts.append(part)
    answer: JsonObject = {"model_name": spec.name, "model_version": MODEL_VERSION}
    if request.id:
        answer["id"] = request.id
    answer["outputs"] = outputs
    head = json.dumps(answer, allow_nan=False, separators=(",", ":")).encode("ascii")
    if not parts:
        return head, {"Content-Type": "application/json"}
    return b"".join([head, *parts]), {
        "Content-Type": "application/octet-stream",
        HEADER_LENGTH: str(len(head)),
    }


def _output(
    wanted: RequestedOutput, array: NDArray[np.float32], labels: Sequence[str]
) -> tuple[JsonObject, bytes | None]:
    entry: JsonObject = {"name": wanted.name, "datatype": "FP32", "shape": list(array.shape)}
    if wanted.classification is None:
        if not wanted.binary:
            # A float32 is written with all digits of its double, so it comes back bit for bit.
            entry["data"] = array.ravel().tolist()
            return entry, None
        part = array.astype("<f4", copy=False).tobytes()
    else:
        classes = [best_classes(row, labels, wanted.classification) for row in array]
        texts = [text for row in classes for text in row]
        entry["datatype"] = "BYTES"
        entry["shape"] = [len(classes), min(wanted.classification, len(labels))]
        if not wanted.binary:
            entry["data"] = texts
            return entry, None
        part = b"".join(_length_first(text.encode("utf-8")) for text in texts)
    entry["parameters"] = {"binary_data_size": len(part)}
    return entry, part


def best_classes(row: NDArray[np.float32], labels: Sequence[str], count: int) -> list[str]:
    """Returns the `count` highest values of one row as "value:class id:label", highest first.

    Args:
        row: [K] float32.
        labels: K class names.
        count: At least 1; cut to K. Of equal values the lower class id comes first.
    Source: Triton, classification extension; six decimals, as Triton writes them.
    """
    order = np.argsort(-row, kind="stable")[:count].tolist()
    return [f"{row[class_id]:f}:{class_id}:{labels[class_id]}" for class_id in order]


def _length_first(text: bytes) -> bytes:
    return len(text).to_bytes(4, "little") + text
