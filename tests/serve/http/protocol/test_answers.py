"""The Open Inference Protocol: responses from arrays, and metadata."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serve.protocol.request import InferRequest, RequestedOutput
from serve.protocol.response import build_infer_response
from serve.protocol.spec import ModelSpec, ProtocolError, model_metadata, server_metadata
from tests.serve.http.protocol.documents import (
    FLOAT_SPEC,
    SPEC,
    parse,
    tensor,
)

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
