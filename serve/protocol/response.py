"""Inference responses of the Open Inference Protocol: from the model's outputs to bytes."""

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
    """Build the body and the headers of a response.

    Args:
        request: The request.
        spec: Specification of the model.
        arrays: Rows of each output for this request, by name; finite.
    Returns:
        The body: JSON, followed by the bytes of the outputs requested in binary form. The headers:
        Content-Type, and Inference-Header-Content-Length if bytes follow.
    Raises:
        ValueError: An array for the JSON part is not finite, which JSON cannot represent.
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
            # Written with all digits of its double, a float32 is restored exactly.
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
    """Return the `count` highest values of a row as "value:class id:label", highest first.

    Args:
        row: [K] float32.
        labels: K class names.
        count: At least 1; limited to K. Ties go to the lower class id.
    Source: Triton, classification extension; six decimals, as in Triton.
    """
    order = np.argsort(-row, kind="stable")[:count].tolist()
    return [f"{row[class_id]:f}:{class_id}:{labels[class_id]}" for class_id in order]


def _length_first(text: bytes) -> bytes:
    return len(text).to_bytes(4, "little") + text
