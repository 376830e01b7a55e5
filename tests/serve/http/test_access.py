"""Tests of serve/access.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from serve.access import host_name, hosts_for, is_loopback

Connect = Callable[..., TestClient]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost:8000", "localhost"),
        ("example.org.:80", "example.org"),
        ("[::1]:8000", "::1"),
        ("[::1]", "::1"),
        ("", ""),
    ],
)
def test_the_name_in_a_host_header(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.2", False),
        ("example.org", False),
    ],
)
def test_what_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_hosts_are_limited_on_loopback_or_when_named() -> None:
    own = {"localhost", "127.0.0.1", "::1"}
    assert hosts_for("127.0.0.1", ()) == own
    assert hosts_for("::1", ("Proxy.example.org:443",)) == {*own, "proxy.example.org"}
    assert hosts_for("127.0.0.7", ()) == {*own, "127.0.0.7"}
    assert hosts_for("0.0.0.0", ()) is None
    assert hosts_for("10.0.0.1", ("api.example.org",)) == {"10.0.0.1", "api.example.org"}


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:99", 200), ("127.0.0.1", 200), ("evil.example.org", 421), ("", 421)],
)
def test_another_host_is_refused(open_client: Connect, host: str, status: int) -> None:
    client = open_client(hosts=hosts_for("127.0.0.1", ()))
    answer = client.get("/v2", headers={"Host": host})
    assert answer.status_code == status
    if status == 421:
        assert "--allowed-host" in answer.json()["error"]
        assert 'rejected_total{reason="wrong_host"} 1.0' in client.get("/metrics").text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic secret-key"},
        {"Authorization": "secret-key"},
        {"X-API-Key": "secret-ke"},
        {"X-API-Key": "secret-key2"},
        {"X-API-Key": b"schl\xfcssel"},
    ],
)
def test_without_the_key_nothing_is_told(open_client: Connect, headers: dict[str, str]) -> None:
    client = open_client(api_key="secret-key")
    for path in ("/v2", "/v2/models/mean_colour", "/v1/models", "/metrics", "/nothing", "/page"):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "secret" not in answer.text
    assert client.post("/v1/predict", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer secret-key"},
        {"Authorization": "bearer  secret-key "},
        {"X-API-Key": "secret-key"},
    ],
)
def test_the_key_opens_the_door(open_client: Connect, headers: dict[str, str]) -> None:
    client = open_client(api_key="secret-key")
    for path in ("/v2", "/metrics"):
        assert client.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/v2/health/live", "/v2/health/ready", "/", "/docs", "/openapi.json", "/page/style.css"],
)
def test_probes_and_the_page_need_no_key(open_client: Connect, path: str) -> None:
    assert open_client(api_key="secret-key").get(path).status_code == 200


@pytest.mark.parametrize("path", ["/page/../v2", "/page/%2e%2e/v2", "//v2", "/./v2", "/page/"])
def test_no_detour_leads_around_the_key(open_client: Connect, path: str) -> None:
    client = open_client(api_key="secret-key")
    answer = client.request("GET", f"http://localhost{path}")
    assert answer.status_code in (401, 404)
