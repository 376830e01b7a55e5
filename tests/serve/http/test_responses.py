"""Tests of serve/responses.py."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from serve.responses import error_response, json_response


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [
        ("", False),
        ("br", False),
        ("identity", False),
        ("gzip", True),
        ("gzip, deflate", True),
        ("gzip;q=0.5, br", True),
        ("gzip;q=0", False),
        ("br, gzip ; q=0.0, deflate", False),
        (",;,=;q", False),
    ],
)
def test_a_response_is_compressed_for_a_client_that_accepts_gzip(
    open_client: Callable[..., TestClient], accepted: str, is_packed: bool
) -> None:
    client = open_client()
    answer = client.get("/openapi.json", headers={"Accept-Encoding": accepted})
    assert (answer.headers.get("content-encoding") == "gzip") is is_packed
    assert answer.json()["openapi"]
    assert answer.headers["content-type"] == "application/json"
    assert not is_packed or int(answer.headers["content-length"]) < len(answer.content) / 4


def test_a_short_response_is_not_compressed(open_client: Callable[..., TestClient]) -> None:
    answer = open_client().get("/v2", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers


def test_json_has_no_number_for_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_response({"a": float("nan")})


def test_replies_hold_what_they_were_given() -> None:
    reply = json_response({"ä": [1]}, status=201, headers={"X": "y"})
    assert (reply.status_code, json.loads(reply.body)) == (201, {"ä": [1]})
    assert (reply.headers["x"], reply.headers["content-type"]) == ("y", "application/json")
    lone = error_response("\ud800", status=400)
    assert json.loads(lone.body) == {"error": "\ud800"}
