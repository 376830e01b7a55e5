"""Tests of serve/app.py and serve/service.py: failures, limits, metrics."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from serve.limits import ConcurrencyLimit
from serve.models import Source
from serve.service import Service
from tests.serve.http.answers import names

Connect = Callable[..., TestClient]
Picture = Callable[..., bytes]
WriteModel = Callable[..., Path]


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
    _wait_for(served.concurrency, 2)
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
    assert served.concurrency.active == 0


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
            while not service.models.get().batcher.queued_images:
                await asyncio.sleep(0.001)
        return messages.pop(0)

    class Picture:
        images = np.zeros([1, 8, 8, 3], np.uint8)

    async def ask() -> Any:
        served = service.models.get()
        served.batcher._on_batch = lambda images, seconds: computed.append(images)
        request = Request({"type": "http", "headers": []}, receive)
        with pytest.raises(Exception, match="disconnected") as error:
            await service.answer(request, served, lambda loaded, body: Picture())
        assert served.concurrency.active == served.batcher.queued_images == 0
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


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/docs", "/openapi.json", "/page/script.js", "/metrics", "/v1/models"),
        *("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/mean_colour"),
    ],
)
def test_head_is_get_without_the_body(open_client: Connect, path: str) -> None:
    client = open_client()
    whole, head = client.get(path), client.head(path)
    assert whole.status_code == head.status_code == 200 and head.content == b""
    assert set(head.headers) == set(whole.headers)
    if path != "/metrics":
        assert head.headers == whole.headers


def test_head_is_an_error_where_get_is(open_client: Connect) -> None:
    client = open_client(api_key="key")
    assert client.head("/v1/models").status_code == 401
    assert client.head("/v2/health/live").status_code == 200
    posted = open_client()
    assert posted.head("/v1/predict").status_code == 405
    assert posted.head("/v1/predict").headers["allow"] == "POST"
    assert posted.post("/metrics").headers["allow"] == "GET, HEAD"
    assert 'route="/metrics",status="405"' in posted.get("/metrics").text


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
    exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
    assert exposed == ["inference-header-content-length", "retry-after", "www-authenticate"]
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


def _wait_for(concurrency: ConcurrencyLimit, count: int) -> None:
    waited = threading.Event()
    for _ in range(2000):
        if concurrency.active == count:
            return
        waited.wait(0.005)
    raise AssertionError(f"{concurrency.active} of {count} requests are active")
