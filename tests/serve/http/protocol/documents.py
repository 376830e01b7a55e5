"""Requests of the Open Inference Protocol for a model of one by two pixels."""

from __future__ import annotations

import json
from typing import Any

from serve.protocol.request import InferRequest, parse_infer_request
from serve.protocol.spec import ModelSpec

SPEC = ModelSpec("colour", "UINT8", (1, 2), ("red", "green", "blue"), (2, 2))
FLOAT_SPEC = ModelSpec("colour", "FP32", (1, 2), ("red", "green", "blue"), None)
PIXELS = [0, 1, 2, 253, 254, 255]
NESTED = [[[[0, 1, 2], [253, 254, 255]]]]


def tensor(**changes: Any) -> dict[str, Any]:
    entry = {"name": "image", "shape": [1, 1, 2, 3], "datatype": "UINT8", "data": PIXELS}
    entry.update(changes)
    return {key: value for key, value in entry.items() if value is not None}


def parse(
    document: Any, spec: ModelSpec = SPEC, *, tail: bytes | None = None, max_rows: int = 4
) -> InferRequest:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    if tail is None:
        return parse_infer_request(text, None, spec, max_rows=max_rows)
    return parse_infer_request(text + tail, len(text), spec, max_rows=max_rows)


def binary(size: Any, **changes: Any) -> dict[str, Any]:
    return tensor(data=None, parameters={"binary_data_size": size}, **changes)
