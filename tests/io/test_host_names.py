"""Names in Host headers."""

from __future__ import annotations

import pytest

from proxy_keras.io.host_names import host_name


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("LocalHost:80", "localhost"),
        ("localhost:", "localhost"),
        ("example.org.:80", "example.org"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]:8766", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("a:b", "a:b"),
        ("localhost:\u00b2", "localhost:\u00b2"),
        ("", ""),
    ],
)
def test_the_name_of_a_host_header(header: str, name: str) -> None:
    assert host_name(header) == name
