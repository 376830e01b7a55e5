"""The routes under /v2: inference and metadata."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from serve.models import Source

Connect = Callable[..., TestClient]


def test_metadata_and_health(open_client: Connect) -> None:
    client = open_client()
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data", "classification"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    for path in ("/v2/models/mean_colour", "/v2/models/mean_colour/versions/1"):
        [given] = client.get(path).json()["inputs"]
        assert given == {"name": "image", "datatype": "UINT8", "shape": [-1, 8, 8, 3]}
        assert client.get(f"{path}/ready").json() == {"name": "mean_colour", "ready": True}
    [entry] = client.post("/v2/repository/index").json()
    assert entry == {"name": "mean_colour", "version": "1", "state": "READY", "reason": ""}


@pytest.mark.parametrize("path", ["/v2/models/nothing", "/v2/models/mean_colour/versions/2"])
def test_another_model_or_version_is_unknown(open_client: Connect, path: str) -> None:
    client = open_client()
    for answer in (client.get(path), client.get(f"{path}/ready"), client.post(f"{path}/infer")):
        assert answer.status_code == 404
        assert "error" in answer.json()


def test_tensors_are_answered_row_by_row(
    open_client: Connect, colours: Callable[..., np.ndarray]
) -> None:
    images = colours((255, 0, 0), (0, 0, 255))
    request = {
        "id": "7",
        "inputs": [
            {
                "name": "image",
                "shape": list(images.shape),
                "datatype": "UINT8",
                "data": images.ravel().tolist(),
            }
        ],
    }
    client = open_client()
    for path in ("/v2/models/mean_colour/infer", "/v2/models/mean_colour/versions/1/infer"):
        answer = client.post(path, json=request)
        assert answer.status_code == 200
        content = answer.json()
        assert (content["id"], content["model_name"]) == ("7", "mean_colour")
        outputs = {output["name"]: output for output in content["outputs"]}
        assert outputs["logits"]["shape"] == [2, 3]
        assert outputs["logits"]["data"] == [1, 0, 0, 0, 0, 1]
        assert outputs["heatmap"]["shape"] == [2, 4, 4]


def test_a_binary_tensor_is_answered_in_binary_and_compressed_on_request(
    open_client: Connect, colours: Callable[..., np.ndarray]
) -> None:
    images = colours(*[(0, 255, 0)] * 32)
    head = {
        "parameters": {"binary_data_output": True},
        "inputs": [
            {
                "name": "image",
                "shape": list(images.shape),
                "datatype": "UINT8",
                "parameters": {"binary_data_size": images.nbytes},
            }
        ],
        "outputs": [{"name": "logits"}, {"name": "heatmap"}],
    }
    text = json.dumps(head).encode()
    answer = open_client(max_batch=32).post(
        "/v2/models/mean_colour/infer",
        content=gzip.compress(text + images.tobytes()),
        headers={
            "Inference-Header-Content-Length": str(len(text)),
            "Content-Encoding": "gzip",
            "Accept-Encoding": "gzip",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"
    split = int(answer.headers["inference-header-content-length"])
    logits = np.frombuffer(answer.content, "<f4", 96, split).reshape(32, 3)
    np.testing.assert_array_equal(logits, [[0, 1, 0]] * 32)


def test_cues_are_outputs_of_the_protocol(
    open_client: Connect, colours: Callable[..., np.ndarray], write_model: Callable[..., Path]
) -> None:
    client = open_client(Source(write_model(ticked=(True, False, False)), "m"), max_ticked=0.6)
    outputs = client.get("/v2/models/m").json()["outputs"]
    assert outputs[3:] == [
        {"name": "cues", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "ticked_share", "datatype": "FP32", "shape": [-1]},
    ]
    images = colours((150, 50, 0), (0, 0, 255), (100, 100, 0))
    tensor = {
        "name": "image",
        "shape": list(images.shape),
        "datatype": "UINT8",
        "data": images.ravel().tolist(),
    }
    content = client.post("/v2/models/m/infer", json={"inputs": [tensor]}).json()
    found = {output["name"]: output for output in content["outputs"]}
    assert found["cues"]["shape"] == [3, 3] and found["ticked_share"]["shape"] == [3]
    assert found["cues"]["data"][:3] == pytest.approx([0.75, 0.25, 0.0], abs=1e-6)
    assert found["ticked_share"]["data"] == pytest.approx([0.75, 0.0, 0.5], abs=1e-6)
    metrics = client.get("/metrics").text
    assert 'proxy_serve_ticked_share_count{model="m"} 3.0' in metrics
    assert 'proxy_serve_marked_answers_total{model="m"} 1.0' in metrics

    wanted = [{"name": "cues", "parameters": {"classification": 1}}]
    refused = client.post("/v2/models/m/infer", json={"inputs": [tensor], "outputs": wanted})
    assert refused.status_code == 400
    assert "Output 'cues' has no classes" in refused.json()["error"]


def test_more_rows_than_a_batch_are_refused(open_client: Connect) -> None:
    tensor = {"name": "image", "shape": [3, 8, 8, 3], "datatype": "UINT8", "data": [0] * 576}
    answer = open_client(max_batch=2).post(
        "/v2/models/mean_colour/infer", json={"inputs": [tensor]}
    )
    assert answer.status_code == 400
    assert "1 to 2 images" in answer.json()["error"]
