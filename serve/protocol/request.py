"""Inference requests of the Open Inference Protocol: from bytes to images and wanted outputs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple, NoReturn

from serve.protocol.spec import INPUT_NAME, ModelSpec, ProtocolError, shown
from serve.protocol.tensors import Images, check_shape, images_from_bytes, images_from_json

# The longest JSON part that a request can have reason to send: names and parameters, and for each
# value its digits, a comma and the white space of an indented, nested list. What is longer is
# refused before it becomes Python objects, which take up to thirty times the room.
_JSON_BYTES = 65_536
_JSON_BYTES_PER_VALUE = 64


class RequestedOutput(NamedTuple):
    """An output that the answer must hold, and in which form.

    Attributes:
        name: Of the model's output.
        binary: Whether its data follow the JSON part as bytes.
        classification: Number of best classes to send in place of the array; None for the array.
    """

    name: str
    binary: bool
    classification: int | None


@dataclass(frozen=True, eq=False)
class InferRequest:
    """A request that was checked against its model.

    Attributes:
        id: The caller's name for it, to be sent back; None when there was none.
        images: [N, H, W, 3] uint8, or float32 in [0, 255], as the model takes it; may be read-only.
        outputs: What the answer must hold, in this order.
    """

    id: str | None
    images: Images
    outputs: tuple[RequestedOutput, ...]


def parse_header_length(value: str | None) -> int | None:
    """Returns the number in `Inference-Header-Content-Length`, None without that header.

    Raises:
        ProtocolError: It is not a number.
    """
    if value is None:
        return None
    # int() would take '+1', '1_0' and other scripts' digits, and raise on thousands of digits.
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise ProtocolError(
            f"Inference-Header-Content-Length must be a number of bytes. Received: {shown(value)}"
        )
    return int(value)


def parse_infer_request(
    body: bytes, header_length: int | None, spec: ModelSpec, *, max_rows: int
) -> InferRequest:
    """Returns an inference request's images and wanted outputs.

    Args:
        body: JSON, and behind it the input's bytes when it is sent as a binary tensor.
        header_length: Bytes of the JSON part; None when the body is all JSON.
        spec: Of the model that the request is for.
        max_rows: Largest N.
    Raises:
        ProtocolError: The body is no such request, or not one for this model.
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
                "An input with 'binary_data_size' must have its bytes behind the JSON part, whose "
                "length the header Inference-Header-Content-Length gives, and no 'data'."
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
        # Also what is no UTF-8, and a number of more digits than Python converts.
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
    """Returns an object's parameters; those that are not the server's own have no effect."""
    parameters = _object(owner.get("parameters", {}), f"'parameters' of {what}")
    if any(name.startswith("shared_memory_") for name in parameters):
        raise ProtocolError(f"Shared memory is not supported: send the data of {what} itself.")
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
    """Returns the outputs asked for, all of them when the request names none."""
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
    if count and output == "heatmap":
        raise ProtocolError("Output 'heatmap' has no classes: ask for 'logits' or 'probabilities'.")
    # Clients send 0 for "no classification".
    return count or None
