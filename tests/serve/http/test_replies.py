"""Tests of serve/replies.py."""

from __future__ import annotations

import gzip
import json
import zlib

import numpy as np
import pytest

from serve.replies import compressed, error_reply, json_reply

LONG = b'{"a": 1}' * 500


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, None),
        ("", None),
        ("br", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("GZip, deflate", "gzip"),
        ("deflate", "deflate"),
        ("gzip;q=0.5, deflate", "deflate"),
        ("gzip;q=0", None),
        ("*", "gzip"),
        ("*;q=0.1, gzip;q=0", "deflate"),
        ("gzip;q=none", None),
        ("gzip;q=nan", None),
        (",;,=;q", None),
    ],
)
def test_the_coding_is_what_the_client_prefers(accepted: str | None, coding: str | None) -> None:
    body, headers = compressed(LONG, {"A": "b"}, accepted=accepted)
    assert headers.get("Content-Encoding") == coding
    assert headers["A"] == "b"
    undo = {None: bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}[coding]
    assert undo(body) == LONG
    if coding is not None:
        assert headers["Vary"] == "Accept-Encoding"
        assert len(body) < len(LONG) / 10


def test_nothing_is_compressed_that_would_not_gain() -> None:
    noise = np.random.default_rng(0).bytes(5000)
    for body in (b"short", noise):
        assert compressed(body, {}, accepted="gzip") == (body, {})


def test_json_has_no_number_for_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_reply({"a": float("nan")})


def test_replies_hold_what_they_were_given() -> None:
    reply = json_reply({"ä": [1]}, status=201, headers={"X": "y"})
    assert (reply.status_code, json.loads(reply.body)) == (201, {"ä": [1]})
    assert (reply.headers["x"], reply.headers["content-type"]) == ("y", "application/json")
    lone = error_reply("\ud800", status=400)
    assert json.loads(lone.body) == {"error": "\ud800"}
