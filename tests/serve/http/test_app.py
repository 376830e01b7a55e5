"""Tests of serve/app.py, serve/service.py and the routes, without a network."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.requests import Request
from starlette.testclient import TestClient

from serve.limits import Places
from serve.models import Source
from serve.service import Service

Connect = Callable[..., TestClient]
Picture = Callable[..., bytes]
WriteModel = Callable[..., Path]

JPEG = {"Content-Type": "image/jpeg"}


def names(answer: Any) -> list[str]:
    return [one["class"] for one in answer.json()["predictions"]]


# The image route.


@pytest.mark.parametrize(("colour", "expected"), [("red", "a"), ("lime", "b"), ("blue", "c")])
def test_an_image_gets_its_class_and_probabilities(
    open_client: Connect, picture: Picture, colour: str, expected: str
) -> None:
    answer = open_client().post("/v1/predict", content=picture(colour), headers=JPEG)
    assert answer.status_code == 200
    content = answer.json()
    assert content["model"] == "mean_colour"
    best, *others = content["predictions"]
    assert (best["class"], best["class_id"]) == (expected, "abc".index(expected))
    # Logits of 1, 0 and 0.
    assert best["probability"] == pytest.approx(np.e / (np.e + 2), abs=1e-6)
    assert sum(one["probability"] for one in others) == pytest.approx(2 / (np.e + 2), abs=1e-6)
    assert "heatmap" not in content


def test_the_heatmap_is_told_on_request(open_client: Connect, picture: Picture) -> None:
    # Left half black, right half white.
    image = np.zeros([8, 8, 3], np.uint8)
    image[:, 4:] = 255
    file = _encoded(image)
    answer = open_client().post("/v1/predict?heatmap=true&top_k=1", content=file)
    assert answer.json()["heatmap"] == {"shape": [4, 4], "values": [[0, 0, 1, 1]] * 4}
    assert names(answer) == ["a"]


@pytest.mark.parametrize(
    "content_type",
    [
        "image/png",
        "application/octet-stream",
        "IMAGE/WHATEVER; a=b",
        "application/x-www-form-urlencoded",
        None,
    ],
)
def test_a_raw_image_comes_by_any_of_these_types(
    open_client: Connect, picture: Picture, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = open_client().post("/v1/predict", content=picture("lime"), headers=headers)
    assert names(answer)[0] == "b"


def test_an_image_comes_in_a_form(open_client: Connect, picture: Picture) -> None:
    files = {"picture": ("a.png", picture("blue"))}
    answer = open_client().post("/v1/predict", files=files, data={"note": "any"})
    assert names(answer)[0] == "c"


def test_an_image_comes_compressed(open_client: Connect, picture: Picture) -> None:
    headers = {**JPEG, "Content-Encoding": "gzip"}
    packed = gzip.compress(picture("blue"))
    assert names(open_client().post("/v1/predict", content=packed, headers=headers))[0] == "c"


def test_the_model_is_chosen_by_name(
    open_client: Connect, write_model: WriteModel, picture: Picture
) -> None:
    other = write_model(size=4, labels=("x", "y", "z"), explain="none")
    client = open_client(Source(write_model()), Source(other, "other"))
    assert names(client.post("/v1/predict", content=picture()))[0] == "a"
    assert names(client.post("/v1/predict?model=other", content=picture()))[0] == "x"
    answer = client.post("/v1/predict?model=other&heatmap=1", content=picture())
    assert answer.status_code == 400
    assert "--explain none" in answer.json()["error"]
    answer = client.get("/v1/models")
    assert [(one["name"], one["network"], one["explain"]) for one in answer.json()["models"]] == [
        ("mean_colour", "mean_colour", "grad_cam"),
        ("other", "mean_colour", "none"),
    ]


@pytest.mark.parametrize(
    ("query", "content", "headers", "status", "message"),
    [
        ("", b"", JPEG, 422, "empty file"),
        ("", b"not an image", JPEG, 422, "not an image of a known format"),
        ("", b"{}", {"Content-Type": "application/json"}, 415, "application/json"),
        ("", b"x", {"Content-Type": "multipart/form-data"}, 400, "boundary"),
        ("", b"x", {**JPEG, "Content-Encoding": "br"}, 415, "gzip or deflate"),
        ("", b"x", {**JPEG, "Content-Encoding": "gzip"}, 400, "gzip"),
        ("", b"x" * 2001, JPEG, 413, "2,000 bytes"),
        ("?model=nothing", b"x", JPEG, 404, "There is: mean_colour"),
        ("?top_k=0", b"x", JPEG, 422, "top_k"),
        ("?top_k=many", b"x", JPEG, 422, "top_k"),
        ("?heatmap=maybe", b"x", JPEG, 422, "heatmap"),
        ("?topk=5", b"x", JPEG, 422, "knows heatmap, model, top_k. Received: 'topk'"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(
    open_client: Connect,
    query: str,
    content: bytes,
    headers: dict[str, str],
    status: int,
    message: str,
) -> None:
    client = open_client(max_body=2000)
    answer = client.post(f"/v1/predict{query}", content=content, headers=headers)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert message in answer.json()["error"]


def test_an_image_of_too_many_pixels_is_not_decoded(open_client: Connect, picture: Picture) -> None:
    client = open_client(max_pixels=64)
    assert client.post("/v1/predict", content=picture(size=(8, 8))).status_code == 200
    answer = client.post("/v1/predict", content=picture(size=(8, 9)))
    assert answer.status_code == 422
    assert "too large: 8 x 9" in answer.json()["error"]


# The Open Inference Protocol.


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
            "Accept-Encoding": "deflate",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "deflate"
    split = int(answer.headers["inference-header-content-length"])
    logits = np.frombuffer(answer.content, "<f4", 96, split).reshape(32, 3)
    np.testing.assert_array_equal(logits, [[0, 1, 0]] * 32)


def test_more_rows_than_a_batch_are_refused(open_client: Connect) -> None:
    tensor = {"name": "image", "shape": [3, 8, 8, 3], "datatype": "UINT8", "data": [0] * 576}
    answer = open_client(max_batch=2).post(
        "/v2/models/mean_colour/infer", json={"inputs": [tensor]}
    )
    assert answer.status_code == 400
    assert "1 to 2 images" in answer.json()["error"]


# Failures, limits and what is counted.


def test_unknown_paths_and_methods_are_told_in_the_same_way(open_client: Connect) -> None:
    client = open_client()
    for answer, status in (
        (client.get("/nothing"), 404),
        (client.get("/v2/"), 404),
        (client.get("/v1/predict"), 405),
        (client.delete("/v2"), 405),
    ):
        assert answer.status_code == status
        assert list(answer.json()) == ["error"]


def test_a_model_that_fails_answers_500_and_the_server_lives_on(
    open_client: Connect, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_client()
    model = client.app.state.service.models.get().current.model
    with monkeypatch.context() as patch:

        def fail(images: np.ndarray) -> None:
            raise RuntimeError("secret of the house")

        patch.setattr(model, "run", fail)
        answer = client.post("/v1/predict", content=picture())
    assert answer.status_code == 500
    assert answer.json() == {"error": "The model failed: RuntimeError"}
    assert client.post("/v1/predict", content=picture()).status_code == 200


def test_an_error_of_ours_is_a_500_without_its_inside(
    open_client: Connect, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_client()

    def fail(name: str | None) -> None:
        raise ZeroDivisionError("secret of the house")

    monkeypatch.setattr(client.app.state.service.models, "get", fail)
    answer = client.post("/v1/predict", content=picture())
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_a_full_queue_is_answered_503_at_once_and_takes_requests_again(
    open_client: Connect, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_client(max_queue=2)
    served = client.app.state.service.models.get()
    run, may_run = served.current.model.run, threading.Event()

    def slow(images: np.ndarray) -> Any:
        assert may_run.wait(20)
        return run(images)

    monkeypatch.setattr(served.current.model, "run", slow)
    answers: list[Any] = []

    def ask() -> None:
        answers.append(client.post("/v1/predict", content=picture()))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    _wait_for(served.places, 2)
    refused = client.post("/v1/predict", content=picture())
    may_run.set()
    for thread in threads:
        thread.join()
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert [answer.status_code for answer in answers] == [200, 200]
    assert client.post("/v1/predict", content=picture()).status_code == 200
    assert 'rejected_total{reason="overloaded"} 1.0' in client.get("/metrics").text


def test_an_answer_that_takes_too_long_is_503(
    open_client: Connect, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_client(timeout_s=0.05)
    served = client.app.state.service.models.get()
    may_run = threading.Event()
    monkeypatch.setattr(served.current.model, "run", lambda images: may_run.wait(20))
    answer = client.post("/v1/predict", content=picture())
    may_run.set()
    assert answer.status_code == 503
    assert "within 0.05 s" in answer.json()["error"]
    assert served.places.taken == 0


def test_a_body_that_takes_too_long_is_408(make_service: Callable[..., Service]) -> None:
    service = make_service(timeout_s=0.05)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(10)
        raise AssertionError

    async def ask() -> Any:
        request = Request({"type": "http", "headers": []}, receive)
        with pytest.raises(Exception, match=r"within 0\.05 s") as error:
            await service.answer(request, service.models.get(), lambda loaded, body: None)
        await service.close()
        return error.value

    refusal = asyncio.run(ask())
    assert refusal.status_code == 408
    assert refusal.headers == {"Connection": "close"}


def test_a_client_that_leaves_frees_its_place_and_is_not_computed(
    make_service: Callable[..., Service], picture: Picture
) -> None:
    service = make_service(max_wait_s=60.0)
    messages = [{"type": "http.request", "body": picture()}, {"type": "http.disconnect"}]
    computed = []

    async def receive() -> dict[str, Any]:
        if len(messages) == 1:
            while not service.models.get().batcher.waiting:
                await asyncio.sleep(0.001)
        return messages.pop(0)

    class Picture:
        images = np.zeros([1, 8, 8, 3], np.uint8)

    async def ask() -> Any:
        served = service.models.get()
        served.batcher._on_batch = lambda images, seconds: computed.append(images)
        request = Request({"type": "http", "headers": []}, receive)
        with pytest.raises(Exception, match="left") as error:
            await service.answer(request, served, lambda loaded, body: Picture())
        assert served.places.taken == served.batcher.waiting == 0
        await service.close()
        return error.value

    assert asyncio.run(ask()).status_code == 499
    assert computed == []


def test_a_reload_between_decoding_and_running_changes_no_answer(
    open_client: Connect, write_model: WriteModel, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_model()
    client = open_client(Source(path))
    models = client.app.state.service.models
    old = models.get().current.model
    read = old.read

    def read_then_reload(*arguments: Any, **options: Any) -> np.ndarray:
        image = read(*arguments, **options)
        write_model(path, size=4, labels=("x", "y", "z"))
        asyncio.run(models.reload())
        return image

    monkeypatch.setattr(old, "read", read_then_reload)
    assert names(client.post("/v1/predict", content=picture()))[0] == "a"
    assert names(client.post("/v1/predict", content=picture()))[0] == "x"


def test_readiness_ends_with_draining_and_requests_are_answered_still(
    open_client: Connect, picture: Picture
) -> None:
    client = open_client()
    client.app.state.service.is_draining = True
    for path in ("/v2/health/ready", "/v2/models/mean_colour/ready"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert client.get("/v2/health/live").status_code == 200
    assert client.post("/v1/predict", content=picture()).status_code == 200


def test_requests_are_counted_by_pattern_not_by_path(
    open_client: Connect, picture: Picture
) -> None:
    client = open_client()
    client.post("/v1/predict", content=picture())
    client.get("/v2/models/mean_colour")
    client.get("/v2/models/anything")
    client.get("/one")
    client.get("/two")
    text = client.get("/metrics").text
    counts = {
        line.partition("{")[2].rpartition("}")[0]: line.rpartition(" ")[2]
        for line in text.splitlines()
        if line.startswith("proxy_serve_requests_total{")
    }
    assert counts == {
        'model="mean_colour",route="/v1/predict",status="200"': "1.0",
        'model="mean_colour",route="/v2/models/{name}",status="200"': "1.0",
        'model="",route="/v2/models/{name}",status="404"': "1.0",
        'model="",route="other",status="404"': "2.0",
    }
    assert "proxy_serve_in_flight_requests 1.0" in text
    assert 'proxy_serve_batch_images_sum{model="mean_colour"} 1.0' in text
    assert 'proxy_serve_queue_requests{model="mean_colour"} 0.0' in text
    assert 'device="cpu",explain="grad_cam",model="mean_colour"' in text


def test_other_origins_may_call_only_when_named(open_client: Connect) -> None:
    asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    closed = open_client()
    assert "access-control-allow-origin" not in closed.get("/v2", headers=asked).headers
    assert closed.options("/v1/predict", headers=asked).status_code == 405
    opened = open_client(cors_origins=("https://example.org",), api_key="key")
    assert opened.options("/v1/predict", headers=asked).status_code == 200
    answer = opened.get("/v2", headers=asked)
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == "https://example.org"
    other = opened.get("/v2", headers={"Origin": "https://other.example.org"})
    assert "access-control-allow-origin" not in other.headers


def test_the_openapi_document_is_complete(open_client: Connect) -> None:
    document = open_client(api_key="key").get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/metrics",
        "/v1/models",
        "/v1/predict",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/repository/index",
        "/v2/models/{name}",
        "/v2/models/{name}/ready",
        "/v2/models/{name}/infer",
        "/v2/models/{name}/versions/{version}",
        "/v2/models/{name}/versions/{version}/ready",
        "/v2/models/{name}/versions/{version}/infer",
    }
    predict = document["paths"]["/v1/predict"]["post"]
    assert list(predict["requestBody"]["content"]) == [
        "image/*",
        "application/octet-stream",
        "multipart/form-data",
    ]
    codes = {"200", "400", "401", "404", "408", "413", "415", "421", "422", "500", "503"}
    assert set(predict["responses"]) == codes
    assert set(document["paths"]["/v2/models/{name}/infer"]["post"]["responses"]) == codes
    assert "HTTPValidationError" not in str(document)
    assert document["security"] == [{"bearer": []}, {"header": []}]
    assert document["paths"]["/v2/health/live"]["get"]["security"] == []
    assert "securitySchemes" not in open_client().get("/openapi.json").json()["components"]


def _encoded(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def _wait_for(places: Places, count: int) -> None:
    waited = threading.Event()
    for _ in range(2000):
        if places.taken == count:
            return
        waited.wait(0.005)
    raise AssertionError(f"{places.taken} of {count} places are taken")
