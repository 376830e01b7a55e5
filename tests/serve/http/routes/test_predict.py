"""POST /v1/predict: classes and heatmap of an image, and invalid images."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from serve.models import Source
from tests.serve.http.answers import names

Connect = Callable[..., TestClient]
Picture = Callable[..., bytes]
WriteModel = Callable[..., Path]

JPEG = {"Content-Type": "image/jpeg"}


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
    ("text", "is_wanted"),
    [("true", True), ("True", True), ("TRUE", True), ("false", False), ("False", False)],
)
def test_a_flag_may_be_written_as_in_python(
    open_client: Connect, picture: Picture, text: str, is_wanted: bool
) -> None:
    answer = open_client().post(f"/v1/predict?heatmap={text}", content=picture())
    assert answer.status_code == 200 and ("heatmap" in answer.json()) == is_wanted


def test_an_answer_says_how_much_of_it_rests_on_each_cue(
    open_client: Connect, picture: Picture, write_model: WriteModel
) -> None:
    cues = Source(write_model(ticked=(False, True, True)), "cues")
    client = open_client(cues, Source(write_model(), "plain"), max_ticked=0.5)
    contents = [
        client.post("/v1/predict", content=picture(colour)).json()
        for colour in ("#329600", "#3c1e0a")
    ]
    assert contents[0]["cues"] == pytest.approx({"1": 0.25, "2": 0.75, "3": 0.0}, abs=1e-6)
    assert [one["ticked_share"] for one in contents] == pytest.approx([0.75, 0.4], abs=1e-6)
    assert [one["marked"] for one in contents] == [True, False]
    plain = client.post("/v1/predict?model=plain", content=picture("#329600")).json()
    assert sorted(plain) == ["model", "predictions"]

    first, second = client.get("/v1/models").json()["models"]
    assert first["cues"][1] == {"name": "2", "ticked": True, "description": "colour 2"}
    assert "cues" not in second
    metrics = client.get("/metrics").text
    assert 'proxy_serve_ticked_share_count{model="cues"} 2.0' in metrics
    assert 'proxy_serve_marked_answers_total{model="cues"} 1.0' in metrics
    assert 'ticked_share_count{model="plain"}' not in metrics


def test_without_a_limit_no_answer_is_marked(
    open_client: Connect, picture: Picture, write_model: WriteModel
) -> None:
    client = open_client(Source(write_model(ticked=(False, True, True))))
    content = client.post("/v1/predict", content=picture("blue")).json()
    assert content["ticked_share"] == 1.0 and "marked" not in content


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
    answer = client.post("/v1/predict?model=other&heatmap=true", content=picture())
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
        ("?model=nothing", b"x", JPEG, 404, "models are: mean_colour"),
        ("?top_k=0", b"x", JPEG, 422, "top_k"),
        ("?top_k=many", b"x", JPEG, 422, "top_k"),
        ("?heatmap=maybe", b"x", JPEG, 422, "heatmap"),
        ("?heatmap=1", b"x", JPEG, 422, "must be true or false"),
        ("?heatmap=y", b"x", JPEG, 422, "must be true or false"),
        ("?top_k=1_0", b"x", JPEG, 422, "written in digits"),
        ("?top_k=%2B5", b"x", JPEG, 422, "written in digits"),
        ("?topk=5", b"x", JPEG, 422, "are heatmap, model, top_k. Received: 'topk'"),
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


def _encoded(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()
