"""NaN in an answer is the model's or the image's fault: 422 with the reason, for nobody else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from starlette.testclient import TestClient

from serve.finite import NotFiniteError, check_finite
from serve.models import Source

TICKED = (False, True, True)
ALL = ("logits", "probabilities", "heatmap", "cues", "ticked_share")


@pytest.fixture
def connect(open_client, write_model) -> Callable[..., TestClient]:
    """Create a client of a model whose outputs of these names are NaN for black images."""

    def make(*nan_in: str, **settings) -> TestClient:
        return open_client(Source(write_model(ticked=TICKED, nan_in=nan_in), "m"), **settings)

    return make


def _infer(images: np.ndarray, *outputs: dict[str, object], binary: bool = False):
    tensor = {"name": "image", "shape": list(images.shape), "datatype": "UINT8"}
    content = {"inputs": [{**tensor, "data": images.ravel().tolist()}], "outputs": list(outputs)}
    return {**content, "parameters": {"binary_data_output": binary}}


@pytest.mark.parametrize("output", ALL)
def test_predict_says_what_is_not_finite(output, connect, picture, caplog) -> None:
    client = connect(output)
    with caplog.at_level(logging.ERROR):
        answer = client.post("/v1/predict?heatmap=true", content=picture("black"))
    assert answer.status_code == 422
    assert answer.json()["error"] == (
        f"The model's output '{output}' is not finite (NaN or infinity) for this image. If it "
        "answers other images, this one is the cause; else export the model again, with "
        "--precision fp32."
    )
    assert not caplog.records
    assert client.post("/v1/predict?heatmap=true", content=picture("red")).status_code == 200


def test_a_heatmap_that_is_not_asked_for_harms_nobody(connect, picture) -> None:
    client = connect("heatmap")
    assert client.post("/v1/predict", content=picture("black")).status_code == 200
    assert client.post("/v1/predict?heatmap=1", content=picture("black")).status_code == 422


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("output", ALL)
def test_infer_says_it_too_in_any_form(output, binary, connect, colours) -> None:
    client = connect(output)
    content = _infer(colours((0, 0, 0), (9, 0, 0), (0, 0, 0)), {"name": output}, binary=binary)
    answer = client.post("/v2/models/m/infer", json=content)
    assert answer.status_code == 422
    assert f"'{output}' is not finite (NaN or infinity) for image 0, 2 of 3." in answer.text


def test_infer_answers_the_outputs_that_are_finite(connect, colours) -> None:
    content = _infer(colours((0, 0, 0)), {"name": "logits"})
    answer = connect("heatmap").post("/v2/models/m/infer", json=content)
    assert answer.status_code == 200 and answer.json()["outputs"][0]["data"] == [0.0, 0.0, 0.0]


def test_classes_of_nan_are_refused(connect, colours) -> None:
    wanted = {"name": "logits", "parameters": {"classification": 1}}
    answer = connect("logits").post("/v2/models/m/infer", json=_infer(colours((0, 0, 0)), wanted))
    assert answer.status_code == 422


def test_neighbours_in_the_batch_are_answered(connect, picture) -> None:
    client = connect("logits", max_batch=8, max_wait_s=0.5)
    files = [picture(colour) for colour in ("red", "black", "lime", "black", "blue")]
    with ThreadPoolExecutor(len(files)) as pool:
        answers = [*pool.map(lambda file: client.post("/v1/predict", content=file), files)]
    assert [answer.status_code for answer in answers] == [200, 422, 200, 422, 200]
    best = [answer.json()["predictions"][0]["class"] for answer in answers[::2]]
    assert best == ["a", "b", "c"]


def test_metrics_stay_numbers(connect, picture) -> None:
    client = connect("ticked_share", max_ticked=0.5)
    for colour in ("black", "lime"):
        client.post("/v1/predict", content=picture(colour))
    metrics = client.get("/metrics").text
    assert 'proxy_serve_ticked_share_sum{model="m"} 1.0' in metrics
    assert 'proxy_serve_ticked_share_count{model="m"} 1.0' in metrics
    assert 'route="/v1/predict",status="422"} 1.0' in metrics


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_infinity_counts_too_and_many_images_are_summarised(value) -> None:
    array = np.zeros((9, 2), np.float32)
    check_finite({"logits": array, "heatmap": None})
    array[2:, 1] = value
    with pytest.raises(NotFiniteError, match=r"for image 2, 3, 4, 5, 6, \.\.\. of 9\."):
        check_finite({"logits": array})
