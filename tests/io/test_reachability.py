"""The check of the network is quick, whatever the network does."""

from __future__ import annotations

import socket
import time

import pytest

from proxy_keras.io import reachability
from proxy_keras.io.reachability import require_reachable

WHAT, REMEDY = "The file", "Copy it."


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_host_that_accepts_is_reachable(monkeypatch, listener):
    monkeypatch.setattr(reachability, "HTTPS_PORT", listener)
    require_reachable("127.0.0.1", what=WHAT, remedy=REMEDY)


def test_refusal_says_what_failed_and_what_to_do(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        free_port = server.getsockname()[1]
    monkeypatch.setattr(reachability, "HTTPS_PORT", free_port)
    with pytest.raises(ConnectionError, match=r"The file must be .*127\.0\.0\.1.*refused.*Copy it"):
        require_reachable("127.0.0.1", what=WHAT, remedy=REMEDY)


def test_unknown_name_is_an_error():
    with pytest.raises(ConnectionError, match="host.invalid"):
        require_reachable("host.invalid", what=WHAT, remedy=REMEDY)


def test_a_hanging_resolver_times_out(monkeypatch):
    def hang(*_: object, **__: object) -> None:
        time.sleep(3)
        raise socket.gaierror("at last")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began = time.monotonic()
    with pytest.raises(ConnectionError, match=r"no answer within 0\.2 s"):
        require_reachable("host.invalid", what=WHAT, remedy=REMEDY, timeout_s=0.2)
    assert time.monotonic() - began < 2


def test_the_proxy_is_checked_if_one_is_set(monkeypatch, listener):
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener}")
    require_reachable("host.invalid", what=WHAT, remedy=REMEDY)


def test_a_host_that_bypasses_the_proxy_is_checked_directly(monkeypatch, listener):
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener}")
    monkeypatch.setenv("no_proxy", "host.invalid")
    with pytest.raises(ConnectionError, match="host.invalid: "):
        require_reachable("host.invalid", what=WHAT, remedy=REMEDY)
