"""The Open Inference Protocol: requests to arrays, arrays to answers, nonsense refused."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serve.protocol import (
    InferRequest,
    ModelSpec,
    ProtocolError,
    RequestedOutput,
    build_infer_response,
    model_metadata,
    parse_header_length,
    parse_infer_request,
    server_metadata,
)

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


# ---- what is taken ----


@pytest.mark.parametrize("data", [PIXELS, NESTED], ids=["flat", "nested"])
def test_json_numbers_become_images(data: Any) -> None:
    request = parse({"id": "42", "inputs": [tensor(data=data)]})
    assert request.id == "42"
    assert request.images.dtype == np.uint8
    assert request.images.tolist() == NESTED


def test_bytes_become_images_without_a_copy() -> None:
    head = json.dumps({"inputs": [binary(6)]}).encode()
    body = head + bytes(PIXELS)
    request = parse_infer_request(body, len(head), SPEC, max_rows=4)
    assert request.images.tolist() == NESTED
    assert np.shares_memory(request.images, np.frombuffer(body, np.uint8))


@pytest.mark.parametrize("padding", range(4))
def test_little_endian_floats_become_aligned_images(padding: int) -> None:
    head = json.dumps({"inputs": [binary(24, datatype="FP32")]}).encode() + b" " * padding
    values = [0.0, 0.5, 1.25, 254.75, 255.0, 128.0]
    images = parse(head, FLOAT_SPEC, tail=struct.pack("<6f", *values)).images
    assert images.dtype == np.float32
    assert images.flags.aligned
    assert images.ravel().tolist() == values


def test_json_numbers_become_float_images() -> None:
    values = [0, 255, 0.1, 1e-3, 254.9, 7]
    images = parse({"inputs": [tensor(datatype="FP32", data=values)]}, FLOAT_SPEC).images
    assert images.dtype == np.float32
    assert images.ravel().tolist() == np.array(values, np.float32).tolist()


def test_several_images_at_once() -> None:
    request = parse({"inputs": [tensor(shape=[4, 1, 2, 3], data=list(range(24)))]})
    assert request.images.shape == (4, 1, 2, 3)
    assert request.images[3].ravel().tolist() == [18, 19, 20, 21, 22, 23]


def test_all_outputs_are_json_unless_asked_otherwise() -> None:
    assert parse({"inputs": [tensor()]}).outputs == (
        RequestedOutput("logits", False, None),
        RequestedOutput("probabilities", False, None),
        RequestedOutput("heatmap", False, None),
    )
    assert parse({"inputs": [tensor()], "outputs": []}).outputs[0].name == "logits"
    request = parse({"inputs": [tensor()], "parameters": {"binary_data_output": True}})
    assert [output.binary for output in request.outputs] == [True, True, True]


def test_an_output_overrides_the_request_and_keeps_the_order_asked_for() -> None:
    request = parse(
        {
            "inputs": [tensor()],
            "parameters": {"binary_data_output": True, "priority": 3},
            "outputs": [
                {"name": "heatmap"},
                {"name": "logits", "parameters": {"binary_data": False, "classification": 2}},
                {"name": "probabilities", "parameters": {"classification": 0}},
            ],
        }
    )
    assert request.outputs == (
        RequestedOutput("heatmap", True, None),
        RequestedOutput("logits", False, 2),
        RequestedOutput("probabilities", True, None),
    )


@given(
    images=hnp.arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(1), st.just(2), st.just(3))),
    form=st.sampled_from(["flat", "nested", "binary"]),
    spaces=st.text(" \n\t", max_size=9),
)
def test_images_survive_every_form(images: np.ndarray, form: str, spaces: str) -> None:
    shape = list(images.shape)
    if form == "binary":
        entry, tail = binary(images.nbytes, shape=shape), images.tobytes()
    else:
        data = images.tolist() if form == "nested" else images.ravel().tolist()
        entry, tail = tensor(shape=shape, data=data), None
    text = json.dumps({"inputs": [entry]}).encode() + spaces.encode()
    assert np.array_equal(parse(text, tail=tail).images, images)


# ---- what is refused ----

TOO_DEEP = b"[" * 60_000

REFUSED: dict[str, tuple[Any, str]] = {
    "no JSON": (b"\x89PNG", "not valid JSON"),
    "no UTF-8": (b'{"id": "\xff"}', "not valid JSON"),
    "empty": (b"", "not valid JSON"),
    "UTF-16": ('{"inputs": []}'.encode("utf-16"), "not valid JSON"),
    "nested deeply": (TOO_DEEP, "nested too deeply"),
    "digits without end": (b'{"inputs": ' + b"9" * 5000 + b"}", "not valid JSON"),
    "a list": ([], "must be a JSON object"),
    "no input": ({}, "exactly one input"),
    "inputs null": ({"inputs": None}, "'inputs' must be a list"),
    "input a string": ({"inputs": ["image"]}, "Each of 'inputs'"),
    "two inputs": ({"inputs": [tensor(), tensor()]}, "exactly one input"),
    "unknown input": ({"inputs": [tensor(name="picture")]}, "exactly one input"),
    "half a character": ({"inputs": [tensor(name="\ud800")]}, r"\\ud800"),
    "name a list": ({"inputs": [tensor(name=[])]}, "exactly one input"),
    "wrong datatype": ({"inputs": [tensor(datatype="FP32")]}, "as UINT8"),
    "no datatype": ({"inputs": [tensor(datatype=None)]}, "as UINT8"),
    "id a number": ({"id": 5, "inputs": [tensor()]}, "'id' must be a string"),
    "no shape": ({"inputs": [tensor(shape=None)]}, "'shape'"),
    "shape a string": ({"inputs": [tensor(shape="1123")]}, "'shape'"),
    "shape of floats": ({"inputs": [tensor(shape=[1.0, 1, 2, 3])]}, "'shape'"),
    "shape of bools": ({"inputs": [tensor(shape=[True, 1, 2, 3])]}, "'shape'"),
    "no rank": ({"inputs": [tensor(shape=[])]}, "of shape"),
    "low rank": ({"inputs": [tensor(shape=[1, 2, 3])]}, "of shape"),
    "other size": ({"inputs": [tensor(shape=[1, 2, 1, 3])]}, "of shape"),
    "no image": ({"inputs": [tensor(shape=[0, 1, 2, 3], data=[])]}, "1 to 4 images"),
    "negative": ({"inputs": [tensor(shape=[-1, 1, 2, 3])]}, "1 to 4 images"),
    "too many": ({"inputs": [tensor(shape=[5, 1, 2, 3], data=[0] * 30)]}, "1 to 4 images"),
    "overflow": ({"inputs": [tensor(shape=[2**62, 1, 2, 3])]}, "1 to 4 images"),
    "huge": ({"inputs": [tensor(shape=[10**400, 1, 2, 3])]}, "1 to 4 images"),
    "no data": ({"inputs": [tensor(data=None)]}, "must be a list of numbers"),
    "data a string": ({"inputs": [tensor(data="012345")]}, "must be a list of numbers"),
    "too short": ({"inputs": [tensor(data=PIXELS[:5])]}, "must be nested"),
    "too long": ({"inputs": [tensor(data=[*PIXELS, 0])]}, "must be nested"),
    "uneven": ({"inputs": [tensor(data=[[[[0, 1, 2, 3], [4, 5]]]])]}, "must be nested"),
    "half nested": ({"inputs": [tensor(data=[PIXELS])]}, "must be nested"),
    "nested too far": ({"inputs": [tensor(data=[[v] for v in PIXELS])]}, "whole numbers"),
    "above 255": ({"inputs": [tensor(data=[0, 0, 0, 0, 0, 256])]}, "Received: 256"),
    "below 0": ({"inputs": [tensor(data=[-1, 0, 0, 0, 0, 0])]}, "Received: -1"),
    "very large": ({"inputs": [tensor(data=[10**300] * 6)]}, r"Received: 1000+\.\.\.0+"),
    "fraction": ({"inputs": [tensor(data=[0.5, 0, 0, 0, 0, 0])]}, "Received: 0.5"),
    "whole fraction": ({"inputs": [tensor(data=[1.0, 0, 0, 0, 0, 0])]}, "Received: 1.0"),
    "bool": ({"inputs": [tensor(data=[True, 0, 0, 0, 0, 0])]}, "Received: True"),
    "null": ({"inputs": [tensor(data=[None, 0, 0, 0, 0, 0])]}, "Received: None"),
    "text": ({"inputs": [tensor(data=["0", 0, 0, 0, 0, 0])]}, "Received: '0'"),
    "NaN": (b'{"inputs": [NaN]}', "NaN is not a JSON number"),
    "-Infinity": (b'{"inputs": [-Infinity]}', "-Infinity is not a JSON number"),
    "parameters a list": ({"inputs": [tensor(parameters=[])]}, "'parameters' of input"),
    "flag a number": (
        {"inputs": [tensor()], "parameters": {"binary_data_output": 1}},
        "true or false",
    ),
    "unknown output": ({"inputs": [tensor()], "outputs": [{"name": "label"}]}, "has the outputs"),
    "output unnamed": ({"inputs": [tensor()], "outputs": [{}]}, "has the outputs"),
    "output named a list": ({"inputs": [tensor()], "outputs": [{"name": []}]}, "has the outputs"),
    "output twice": ({"inputs": [tensor()], "outputs": [{"name": "logits"}] * 2}, "each output"),
    "classes of a map": (
        {
            "inputs": [tensor()],
            "outputs": [{"name": "heatmap", "parameters": {"classification": 1}}],
        },
        "no classes",
    ),
    "classes below 0": (
        {
            "inputs": [tensor()],
            "outputs": [{"name": "logits", "parameters": {"classification": -1}}],
        },
        "'classification'",
    ),
    "classes true": (
        {
            "inputs": [tensor()],
            "outputs": [{"name": "logits", "parameters": {"classification": True}}],
        },
        "'classification'",
    ),
    "shared memory in": (
        {"inputs": [tensor(data=None, parameters={"shared_memory_region": "a"})]},
        "Shared memory",
    ),
    "shared memory out": (
        {
            "inputs": [tensor()],
            "outputs": [{"name": "logits", "parameters": {"shared_memory_region": "a"}}],
        },
        "Shared memory",
    ),
    "bytes without a header": ({"inputs": [binary(6)]}, "Inference-Header-Content-Length"),
}


@pytest.mark.parametrize(("document", "reason"), REFUSED.values(), ids=REFUSED)
def test_nonsense_is_refused_with_its_reason(document: Any, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason) as refusal:
        parse(document)
    assert refusal.value.status == 400
    assert len(str(refusal.value)) < 300
    str(refusal.value).encode("utf-8")


REFUSED_BYTES: dict[str, tuple[Any, bytes, str]] = {
    "fewer bytes": (binary(6), b"01234", "6 bytes must follow"),
    "more bytes": (binary(6), b"0123456", "6 bytes must follow"),
    "other size": (binary(5), b"01234", "must be 6"),
    "size a string": (binary("6"), b"012345", "must be 6"),
    "size a fraction": (binary(6.0), b"012345", "must be 6"),
    "size true": (binary(True), b"012345", "must be 6"),
    "size negative": (binary(-6), b"012345", "must be 6"),
    "size huge": (binary(2**70), b"012345", "must be 6"),
    "data too": (tensor(parameters={"binary_data_size": 6}), b"012345", "no 'data'"),
    "not announced": (tensor(), b"012345", "6 bytes follow the JSON part"),
}


@pytest.mark.parametrize(("entry", "tail", "reason"), REFUSED_BYTES.values(), ids=REFUSED_BYTES)
def test_bytes_that_disagree_are_refused(entry: Any, tail: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        parse({"inputs": [entry]}, tail=tail)


@pytest.mark.parametrize("length", [0, -1, 1_000, 10**17])
def test_a_header_length_outside_the_body_is_refused(length: int) -> None:
    with pytest.raises(ProtocolError, match="Inference-Header-Content-Length must be from 1 to"):
        parse_infer_request(b"{}", length, SPEC, max_rows=1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.1, 255.1, 3e38])
def test_binary_floats_out_of_range_are_refused(value: float) -> None:
    tail = np.array([0, 0, value, 0, 0, 0], "<f4").tobytes()
    with pytest.raises(ProtocolError, match=r"must have values in \[0, 255\]"):
        parse({"inputs": [binary(24, datatype="FP32")]}, FLOAT_SPEC, tail=tail)


@pytest.mark.parametrize("value", [-0.1, 255.1, 3e38, 1e300])
def test_json_floats_out_of_range_are_refused(value: float) -> None:
    entry = tensor(datatype="FP32", data=[0, 0, value, 0, 0, 0])
    with pytest.raises(ProtocolError, match=r"must have values in \[0, 255\]"):
        parse({"inputs": [entry]}, FLOAT_SPEC)


def test_a_json_number_beyond_float64_is_refused() -> None:
    text = json.dumps({"inputs": [tensor(datatype="FP32")]}).replace("253", "1e999")
    with pytest.raises(ProtocolError, match="from 0 to inf"):
        parse(text.encode(), FLOAT_SPEC)
    with pytest.raises(ProtocolError, match="Received: 100"):
        parse({"inputs": [tensor(datatype="FP32", data=[10**400] * 6)]}, FLOAT_SPEC)


def test_json_longer_than_any_such_request_is_not_read() -> None:
    text = json.dumps({"inputs": [tensor()]}).encode()
    limit = 65_536 + 64 * 4 * 6
    assert parse(text + b" " * (limit - len(text))).images.tolist() == NESTED
    with pytest.raises(ProtocolError, match="at most") as refusal:
        parse(text + b" " * (limit - len(text) + 1))
    assert refusal.value.status == 413


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["inputs", "outputs", "name", "shape", "datatype", "data", "parameters", "id"]
                ),
                inner,
                max_size=6,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_json_comes_the_only_error_is_a_refusal(document: Any) -> None:
    with pytest.raises(ProtocolError):
        parse(document)


@given(st.binary(max_size=64), st.integers(-2, 70) | st.none())
def test_whatever_bytes_come_the_only_error_is_a_refusal(body: bytes, length: int | None) -> None:
    with pytest.raises(ProtocolError):
        parse_infer_request(body, length, SPEC, max_rows=1)


@pytest.mark.parametrize(("text", "length"), [(None, None), ("0", 0), ("00120", 120)])
def test_the_header_is_a_number(text: str | None, length: int | None) -> None:
    assert parse_header_length(text) == length


@pytest.mark.parametrize("text", ["", "-1", "+1", "1_0", " 1", "1.0", "0x1", "٣", "²", "9" * 5000])
def test_a_header_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="must be a number of bytes"):
        parse_header_length(text)


# ---- answers ----

ARRAYS = {
    "logits": np.array([[0.1, -2.5, 3e-8]], np.float32),
    "probabilities": np.array([[0.25, 0.5, 0.25]], np.float32),
    "heatmap": np.array([[[0.0, 1.0], [0.3, 0.7]]], np.float32),
}


def request_for(*outputs: RequestedOutput, request_id: str | None = None) -> InferRequest:
    return InferRequest(request_id, np.zeros((1, 1, 2, 3), np.uint8), outputs)


def test_a_json_answer_has_exactly_these_parts() -> None:
    body, headers = build_infer_response(
        request_for(RequestedOutput("heatmap", False, None), request_id="r\u00e4 7"), SPEC, ARRAYS
    )
    assert headers == {"Content-Type": "application/json"}
    assert json.loads(body) == {
        "model_name": "colour",
        "model_version": "1",
        "id": "r\u00e4 7",
        "outputs": [
            {
                "name": "heatmap",
                "datatype": "FP32",
                "shape": [1, 2, 2],
                "data": [0.0, 1.0, float(np.float32(0.3)), float(np.float32(0.7))],
            }
        ],
    }


def test_a_binary_answer_has_its_bytes_behind_the_json_in_order() -> None:
    body, headers = build_infer_response(
        request_for(
            RequestedOutput("probabilities", True, None),
            RequestedOutput("logits", False, None),
            RequestedOutput("heatmap", True, None),
        ),
        SPEC,
        ARRAYS,
    )
    length = int(headers["Inference-Header-Content-Length"])
    answer = json.loads(body[:length])
    assert headers["Content-Type"] == "application/octet-stream"
    assert "id" not in answer
    assert [output.get("parameters") for output in answer["outputs"]] == [
        {"binary_data_size": 12},
        None,
        {"binary_data_size": 16},
    ]
    assert "data" not in answer["outputs"][0]
    floats = np.frombuffer(body[length:], "<f4")
    assert floats.tolist() == [*ARRAYS["probabilities"].ravel(), *ARRAYS["heatmap"].ravel()]


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.just(3)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    st.booleans(),
)
def test_float32_comes_back_bit_for_bit(logits: np.ndarray, is_binary: bool) -> None:
    body, headers = build_infer_response(
        request_for(RequestedOutput("logits", is_binary, None)), SPEC, {"logits": logits}
    )
    if is_binary:
        data = np.frombuffer(body[int(headers["Inference-Header-Content-Length"]) :], "<f4")
    else:
        data = np.array(json.loads(body)["outputs"][0]["data"], np.float32)
    assert data.tobytes() == logits.tobytes()


def test_what_json_cannot_say_is_an_error_and_no_refusal() -> None:
    arrays = {"logits": np.array([[np.nan, 0, 0]], np.float32)}
    with pytest.raises(ValueError, match="not JSON compliant") as error:
        build_infer_response(request_for(RequestedOutput("logits", False, None)), SPEC, arrays)
    assert not isinstance(error.value, ProtocolError)


def test_classes_are_value_id_and_label_the_highest_first() -> None:
    arrays = {"logits": np.array([[1.5, -2, 1.5], [0, 1, 2.25]], np.float32)}
    asked = RequestedOutput("logits", False, 2)
    body, _ = build_infer_response(request_for(asked), SPEC, arrays)
    assert json.loads(body)["outputs"] == [
        {
            "name": "logits",
            "datatype": "BYTES",
            "shape": [2, 2],
            "data": ["1.500000:0:red", "1.500000:2:blue", "2.250000:2:blue", "1.000000:1:green"],
        }
    ]


def test_equal_values_keep_the_order_of_the_classes() -> None:
    labels = tuple(f"c{number}" for number in range(100))
    spec = ModelSpec("many", "UINT8", (1, 2), labels, None)
    arrays = {"logits": np.zeros((1, 100), np.float32)}
    asked = RequestedOutput("logits", False, 100)
    body, _ = build_infer_response(request_for(asked), spec, arrays)
    data = json.loads(body)["outputs"][0]["data"]
    assert data == [f"0.000000:{number}:c{number}" for number in range(100)]


def test_binary_classes_carry_their_length_in_bytes_and_are_cut_to_the_classes_there_are() -> None:
    spec = ModelSpec("colour", "UINT8", (1, 2), ("gr\u00fcn",), None)
    arrays = {"probabilities": np.array([[1.0]], np.float32)}
    asked = RequestedOutput("probabilities", True, 99)
    body, headers = build_infer_response(request_for(asked), spec, arrays)
    length = int(headers["Inference-Header-Content-Length"])
    text = "1.000000:0:gr\u00fcn".encode()
    assert body[length:] == struct.pack("<I", len(text)) + text
    assert json.loads(body[:length])["outputs"][0] == {
        "name": "probabilities",
        "datatype": "BYTES",
        "shape": [1, 1],
        "parameters": {"binary_data_size": len(text) + 4},
    }


# ---- metadata ----


def test_model_metadata_names_inputs_and_outputs() -> None:
    assert model_metadata(SPEC) == {
        "name": "colour",
        "versions": ["1"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, 1, 2, 3]}],
        "outputs": [
            {"name": "logits", "datatype": "FP32", "shape": [-1, 3]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
            {"name": "heatmap", "datatype": "FP32", "shape": [-1, 2, 2]},
        ],
    }


def test_a_file_without_heatmaps_has_two_outputs() -> None:
    assert list(FLOAT_SPEC.outputs) == ["logits", "probabilities"]
    document = {"inputs": [tensor(datatype="FP32")], "outputs": [{"name": "heatmap"}]}
    with pytest.raises(ProtocolError, match="has the outputs logits, probabilities"):
        parse(document, FLOAT_SPEC)


def test_server_metadata_names_the_extensions() -> None:
    assert server_metadata("here", "1.2") == {
        "name": "here",
        "version": "1.2",
        "extensions": ["binary_tensor_data", "classification"],
    }
