"""tritonclient[http] gets the model's outputs, with default and other options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from serve.models import Source

Ask = Callable[..., triton.InferResult]
RED_AND_BLUE = np.zeros((2, 8, 8, 3), np.uint8)
RED_AND_BLUE[0, ..., 0] = 255
RED_AND_BLUE[1, ..., 2] = 51


@pytest.fixture
def client(
    run_server: Callable[..., Any], write_model: Callable[..., Path]
) -> Iterator[triton.InferenceServerClient]:
    server = run_server(
        Source(write_model(), "bytes"),
        Source(write_model(dtype="float32", explain="none"), "floats"),
        max_batch=4,
    )
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}", concurrency=4) as client:
        yield client


def image(
    values: NDArray[Any], datatype: str = "UINT8", *, is_binary: bool = True
) -> triton.InferInput:
    tensor = triton.InferInput("image", list(values.shape), datatype)
    return tensor.set_data_from_numpy(values, binary_data=is_binary)


def assert_is_red_and_blue(result: triton.InferResult) -> None:
    logits = result.as_numpy("logits")
    assert logits.dtype == np.float32
    assert logits == pytest.approx(np.array([[1, 0, 0], [0, 0, 0.2]]), abs=1e-6)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert result.as_numpy("probabilities") == pytest.approx(shares, abs=1e-6)


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("bytes")
    assert client.is_model_ready("floats", "1")
    assert not client.is_model_ready("other")
    assert not client.is_model_ready("bytes", "2")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data", "classification"]
    assert client.get_model_metadata("floats", "1") == {
        "name": "floats",
        "versions": ["1"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, 8, 8, 3]}],
        "outputs": [
            {"name": "logits", "datatype": "FP32", "shape": [-1, 3]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]},
        ],
    }
    index = client.get_model_repository_index()
    assert [(entry["name"], entry["state"]) for entry in index] == [
        ("bytes", "READY"),
        ("floats", "READY"),
    ]


def test_the_defaults_send_and_get_bytes(client: triton.InferenceServerClient) -> None:
    result = client.infer("bytes", [image(RED_AND_BLUE)], request_id="ours")
    assert_is_red_and_blue(result)
    assert result.as_numpy("heatmap").shape == (2, 4, 4)
    response = result.get_response()
    assert (response["model_name"], response["model_version"]) == ("bytes", "1")
    assert response["id"] == "ours"
    assert result.get_output("heatmap")["parameters"] == {"binary_data_size": 2 * 4 * 4 * 4}


def test_floats_go_as_bytes_too(client: triton.InferenceServerClient) -> None:
    result = client.infer("floats", [image(RED_AND_BLUE.astype(np.float32), "FP32")])
    assert_is_red_and_blue(result)
    assert result.as_numpy("heatmap") is None


@pytest.mark.parametrize("is_binary_in", [True, False])
@pytest.mark.parametrize("is_binary_out", [True, False])
def test_json_and_bytes_in_any_mixture(
    client: triton.InferenceServerClient, is_binary_in: bool, is_binary_out: bool
) -> None:
    wanted = [
        triton.InferRequestedOutput(name, binary_data=is_binary_out)
        for name in ("probabilities", "logits")
    ]
    tensor = image(RED_AND_BLUE, is_binary=is_binary_in)
    result = client.infer("bytes", [tensor], outputs=wanted)
    assert_is_red_and_blue(result)
    assert [output["name"] for output in result.get_response()["outputs"]] == [
        "probabilities",
        "logits",
    ]
    assert ("data" in result.get_output("logits")) is not is_binary_out


@pytest.mark.parametrize("asked", ["gzip", "deflate"])
@pytest.mark.parametrize("answered", ["gzip", "deflate", None])
def test_compressed_requests_and_answers(
    run_server: Callable[..., Any],
    write_model: Callable[..., Path],
    asked: str,
    answered: str | None,
) -> None:
    server = run_server(Source(write_model(size=64)))
    images = np.zeros((2, 64, 64, 3), np.uint8)
    images[:, :32] = 255
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        result = client.infer(
            "mean_colour",
            [image(images)],
            request_compression_algorithm=asked,
            response_compression_algorithm=answered,
        )
    heatmap = np.repeat([1.0, 0.0], 16 * 32).reshape(32, 32)
    assert result.as_numpy("heatmap").tolist() == [heatmap.tolist()] * 2


def test_classes_come_with_value_id_and_label(client: triton.InferenceServerClient) -> None:
    for is_binary in (True, False):
        wanted = triton.InferRequestedOutput("logits", is_binary, class_count=2)
        result = client.infer("bytes", [image(RED_AND_BLUE)], outputs=[wanted])
        texts = [
            text if isinstance(text, str) else text.decode()
            for text in result.as_numpy("logits").ravel()
        ]
        assert result.get_output("logits")["shape"] == [2, 2]
        assert texts == ["1.000000:0:a", "0.000000:1:b", "0.200000:2:c", "0.000000:0:a"]


def test_many_at_a_time_get_each_their_own_answer(client: triton.InferenceServerClient) -> None:
    pending = []
    for shade in range(40):
        pixels = np.full((1, 8, 8, 3), shade, np.uint8)
        pending.append(client.async_infer("bytes", [image(pixels)], request_id=str(shade)))
    for shade, request in enumerate(pending):
        result = request.get_result(timeout=60)
        assert result.get_response()["id"] == str(shade)
        assert result.as_numpy("logits") == pytest.approx(np.full((1, 3), shade / 255), abs=1e-6)


def refused(client: triton.InferenceServerClient, model: str, *tensors: Any, **options: Any) -> str:
    with pytest.raises(InferenceServerException) as error:
        client.infer(model, list(tensors), **options)
    return f"{error.value.status()}: {error.value.message()}"


def test_wrong_requests_come_back_with_their_reason(client: triton.InferenceServerClient) -> None:
    floats = RED_AND_BLUE.astype(np.float32)
    assert refused(client, "bytes", image(floats, "FP32")) == (
        "400: Model 'bytes' takes input 'image' as UINT8. Received: 'FP32'"
    )
    assert "'image' as FP32" in refused(client, "floats", image(RED_AND_BLUE))
    assert "'image' as UINT8" in refused(client, "bytes", image(RED_AND_BLUE.astype("i8"), "INT64"))
    assert "[-1, 8, 8, 3]" in refused(client, "bytes", image(RED_AND_BLUE[:, :4]))
    assert "1 to 4 images" in refused(client, "bytes", image(np.zeros((5, 8, 8, 3), np.uint8)))
    assert "1 to 4 images" in refused(client, "bytes", image(np.zeros((0, 8, 8, 3), np.uint8)))
    assert "[0, 255]" in refused(client, "floats", image(floats - 1, "FP32"))
    assert "exactly one input" in refused(client, "bytes")
    output = triton.InferRequestedOutput("scores")
    assert "has the outputs" in refused(client, "bytes", image(RED_AND_BLUE), outputs=[output])
    shared = triton.InferInput("image", [1, 8, 8, 3], "UINT8")
    shared.set_shared_memory("region", 192)
    assert "Shared memory is not supported" in refused(client, "bytes", shared)
    assert refused(client, "other", image(RED_AND_BLUE)).startswith("404: ")
    assert_is_red_and_blue(client.infer("bytes", [image(RED_AND_BLUE)]))
