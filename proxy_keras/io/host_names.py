"""Names in Host headers, as the pages that this project serves check them."""

from __future__ import annotations


def host_name(header: str) -> str:
    """Return the lower-case name in a Host header, without port, brackets and final dot."""
    name, colon, port = header.rpartition(":")
    is_port = port.isascii() and (not port or port.isdecimal())
    name = name if colon and is_port and not name.endswith(":") else header
    return name.removeprefix("[").removesuffix("]").removesuffix(".").lower()
