"""The Open Inference Protocol: arrays from requests, and invalid requests."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serve.protocol.request import RequestedOutput, parse_header_length, parse_infer_request
from serve.protocol.spec import ProtocolError
from tests.serve.http.protocol.documents import (
    FLOAT_SPEC,
    NESTED,
    PIXELS,
    SPEC,
    binary,
    parse,
    tensor,
)


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


# ---- invalid requests ----

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
    "nested too far": ({"inputs": [tensor(data=[[v] for v in PIXELS])]}, "integers"),
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
