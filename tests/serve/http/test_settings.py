"""Tests of serve/settings.py."""

from __future__ import annotations

import math
from typing import Any

import pytest

from serve.images import MAX_PIXELS
from serve.settings import Settings


def test_the_defaults_hold() -> None:
    settings = Settings()
    assert (settings.max_batch, settings.max_wait_s, settings.max_queue) == (8, 0.005, 256)
    assert settings.max_body == 33_554_432
    assert settings.max_buffered == 8 * 33_554_432
    assert settings.api_key is None
    assert settings.cors_origins == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_batch": 0},
        {"max_queue": 0},
        {"max_body": 0},
        {"decoders": 0},
        {"max_ticked": -0.1},
        {"max_ticked": 1.1},
        {"max_ticked": math.nan},
        {"max_pixels": 0},
        {"max_pixels": MAX_PIXELS + 1},
        {"max_wait_s": -0.1},
        {"max_wait_s": math.nan},
        {"drain_s": math.inf},
        {"timeout_s": 0.0},
        {"timeout_s": math.nan},
    ],
)
def test_a_number_out_of_its_range_is_refused(wrong: dict[str, Any]) -> None:
    [(name, value)] = wrong.items()
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {value}"):
        Settings(**wrong)


@pytest.mark.parametrize(
    "origin",
    ["*", "https://example.org", "http://localhost:8080", "http://[::1]:80", "app-2://a_b"],
)
def test_an_origin_is_taken(origin: str) -> None:
    assert Settings(cors_origins=(origin,)).cors_origins == (origin,)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "foo",
        "null",
        "example.org",
        "//example.org",
        "https://",
        "https://Example.org",
        "https://example.org/",
        "https://example.org:",
        "https://example.org:http",
        "https://a.org,https://b.org",
        "https://*.example.org",
        "https://me@example.org",
        "https://example.org\n",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match=r"scheme://host:port .*, or \*\. Received: ") as error:
        Settings(cors_origins=("*", origin))
    assert str(error.value).endswith(f"Received: {origin!r}")


@pytest.mark.parametrize("key", ["", " ", "two words", "schlüssel", "line\n"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="API key") as error:
        Settings(api_key=key)
    assert not key.strip() or key.strip() not in str(error.value)
