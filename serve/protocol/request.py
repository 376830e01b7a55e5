"""Inference requests of the Open Inference Protocol: from bytes to images and outputs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple, NoReturn

from serve.protocol.spec import INPUT_NAME, ModelSpec, ProtocolError, shown
from serve.protocol.tensors import Images, check_shape, images_from_bytes, images_from_json

# Largest JSON part of a valid request: names and parameters, and for each value its digits, a comma
# and the white space of an indented, nested list. Larger ones are refused before parsing, because
# Python objects take up to thirty times the memory.
_JSON_BYTES = 65_536
_JSON_BYTES_PER_VALUE = 64


class RequestedOutput(NamedTuple):
    """A requested output and its format.

    Attributes:
        name: Name of the output.
        binary: Whether to send its data as bytes after the JSON part.
        classification: Number of best classes to send instead of the array; None for the array.
    """

    name: str
    binary: bool
    classification: int | None


@dataclass(frozen=True, eq=False)
class InferRequest:
    """A request, validated for its model.

    Attributes:
        id: The client's id, which the answer repeats; None if there is none.
        images: [N, H, W, 3] uint8, or float32 in [0, 255], as the model takes it; may be read-only.
        outputs: The requested outputs, in order.
    """

    id: str | None
    images: Images
    outputs: tuple[RequestedOutput, ...]


def parse_header_length(value: str | None) -> int | None:
    """Parse the header `Inference-Header-Content-Length`; None without it.

    Raises:
        ProtocolError: The header is not a number.
    """
    if value is None:
        return None
    # `int` accepts '+1', '1_0' and non-ASCII digits, and fails on thousands of digits.
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise ProtocolError(
            f"Inference-Header-Content-Length must be a number of bytes. Received: {shown(value)}"
        )
    return int(value)


def parse_infer_request(
    body: bytes, header_length: int | None, spec: ModelSpec, *, max_rows: int
) -> InferRequest:
    """Parse and validate an inference request.

    Args:
        body: JSON, followed by the input's bytes if it is a binary tensor.
        header_length: Length of the JSON part in bytes; None if the whole body is JSON.
        spec: Specification of the model.
        max_rows: Largest N.
    Raises:
        ProtocolError: The request is malformed or does not fit the model.
    Source: KServe, Open Inference Protocol (V2), "Inference"; Triton, binary tensor data extension.
    """
    if header_length is not None and not 0 < header_length <= len(body):
        raise ProtocolError(
            f"Inference-Header-Content-Length must be from 1 to {len(body)}, the length of the "
            f"body. Received: {header_length}"
        )
    limit = _JSON_BYTES + _JSON_BYTES_PER_VALUE * max_rows * prod(spec.row_shape)
    json_size = len(body) if header_length is None else header_length
    if json_size > limit:
        raise ProtocolError(
            f"The JSON part of a request to model '{spec.name}' must be at most {limit} bytes. "
            f"Received: {json_size}",
            status=413,
        )
    document = _parse_json(body[:json_size])
    request_id = document.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise ProtocolError(f"'id' must be a string. Received: {shown(request_id)}")
    outputs = _outputs(document, spec)
    tensor = _only_input(document, spec)
    shape = check_shape(tensor.get("shape"), spec, max_rows=max_rows)
    parameters = _parameters(tensor, f"input '{INPUT_NAME}'")
    if "binary_data_size" in parameters:
        if "data" in tensor or header_length is None:
            raise ProtocolError(
                "An input with 'binary_data_size' must send its bytes after the JSON part, the "
                "header Inference-Header-Content-Length, and no 'data'."
            )
        images = images_from_bytes(
            body, json_size, parameters["binary_data_size"], shape, spec.datatype
        )
    else:
        if len(body) != json_size:
            raise ProtocolError(
                f"{len(body) - json_size} bytes follow the JSON part, but input '{INPUT_NAME}' has "
                "no parameter 'binary_data_size'."
            )
        images = images_from_json(tensor.get("data"), shape, spec.datatype)
    return InferRequest(request_id, images, outputs)


def _parse_json(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
    except ProtocolError:
        raise
    except RecursionError:
        raise ProtocolError("The JSON part is nested too deeply.") from None
    except ValueError as error:
        # Includes invalid UTF-8 and numbers with too many digits for Python.
        raise ProtocolError(f"The request is not valid JSON in UTF-8: {error}") from None
    return _object(document, "The request")


def _refuse_constant(name: str) -> NoReturn:
    raise ProtocolError(f"{name} is not a JSON number.")


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} must be a JSON object. Received: {shown(value)}")
    return value


def _objects(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    values = document.get(key, [])
    if not isinstance(values, list):
        raise ProtocolError(f"'{key}' must be a list of JSON objects. Received: {shown(values)}")
    return [_object(value, f"Each of '{key}'") for value in values]


def _parameters(owner: dict[str, Any], what: str) -> dict[str, Any]:
    """Return an object's parameters; unknown ones are ignored."""
    parameters = _object(owner.get("parameters", {}), f"'parameters' of {what}")
    if any(name.startswith("shared_memory_") for name in parameters):
        raise ProtocolError(
            f"Shared memory is not supported. Send the data of {what} in the request."
        )
    return parameters


def _flag(parameters: dict[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise ProtocolError(f"Parameter '{name}' must be true or false. Received: {shown(value)}")
    return value


def _only_input(document: dict[str, Any], spec: ModelSpec) -> dict[str, Any]:
    inputs = _objects(document, "inputs")
    names = [tensor.get("name") for tensor in inputs]
    if names != [INPUT_NAME]:
        raise ProtocolError(
            f"Model '{spec.name}' takes exactly one input, '{INPUT_NAME}'. Received: {shown(names)}"
        )
    if inputs[0].get("datatype") != spec.datatype:
        raise ProtocolError(
            f"Model '{spec.name}' takes input '{INPUT_NAME}' as {spec.datatype}. Received: "
            f"{shown(inputs[0].get('datatype'))}"
        )
    return inputs[0]


def _outputs(document: dict[str, Any], spec: ModelSpec) -> tuple[RequestedOutput, ...]:
    """Return the requested outputs; all of them if the request names none."""
    binary = _flag(_parameters(document, "the request"), "binary_data_output", False)
    wanted = _objects(document, "outputs")
    if not wanted:
        return tuple(RequestedOutput(name, binary, None) for name in spec.outputs)
    outputs = []
    for output in wanted:
        name = output.get("name")
        if not isinstance(name, str) or name not in spec.outputs:
            raise ProtocolError(
                f"Model '{spec.name}' has the outputs {', '.join(spec.outputs)}. Received: "
                f"{shown(name)}"
            )
        parameters = _parameters(output, f"output '{name}'")
        outputs.append(
            RequestedOutput(
                name, _flag(parameters, "binary_data", binary), _class_count(parameters, name)
            )
        )
    if len({output.name for output in outputs}) != len(outputs):
        raise ProtocolError("'outputs' must name each output once.")
    return tuple(outputs)


def _class_count(parameters: dict[str, Any], output: str) -> int | None:
    count = parameters.get("classification")
    if count is None:
        return None
    if type(count) is not int or count < 0:
        raise ProtocolError(
            f"Parameter 'classification' must be a number of classes. Received: {shown(count)}"
        )
    if count and output not in ("logits", "probabilities"):
        raise ProtocolError(
            f"Output '{output}' has no classes. Request 'logits' or 'probabilities'."
        )
    # Clients send 0 for "no classification".
    return count or None
