"""A quick check that a host can be reached, to run before a download."""

from __future__ import annotations

import socket
import threading
import urllib.parse
import urllib.request

HTTPS_PORT = 443


def require_reachable(host: str, *, what: str, remedy: str, timeout_s: float = 5.0) -> None:
    """Check that a connection to the host can be opened.

    If the environment sets a proxy for https (`https_proxy`, `no_proxy`), the proxy is checked
    instead, because it resolves the host.

    Args:
        host: Name of the server to download from.
        what: What to download, e.g. "The dataset tfds:cifar100"; the start of the message.
        remedy: What to do without a network; the end of the message.
        timeout_s: Seconds for resolving and connecting in total, > 0.

    Raises:
        ConnectionError: The host is unknown, refuses the connection, or does not answer in time.
    """
    address = _address(host)
    failures: list[OSError] = []
    done = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection(address, timeout=timeout_s).close()
        except OSError as failure:
            failures.append(failure)
        done.set()

    # Resolving a name has no timeout and cannot be interrupted, so it runs in a thread that does
    # not keep the process alive.
    threading.Thread(target=connect, name=f"reach {host}", daemon=True).start()
    if not done.wait(timeout_s):
        reason = f"no answer within {timeout_s:g} s"
    elif failures:
        reason = failures[0].strerror or str(failures[0])
    else:
        return
    via = "" if address[0] == host else f" through the proxy {address[0]}:{address[1]}"
    raise ConnectionError(f"{what} must be downloaded, but {host}{via}: {reason}. {remedy}")


def _address(host: str) -> tuple[str, int]:
    """Return the host and port to connect to: those of the proxy if this host uses one."""
    proxy = urllib.request.getproxies().get("https")
    if not proxy or urllib.request.proxy_bypass(host):
        return host, HTTPS_PORT
    parts = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
    default_port = HTTPS_PORT if parts.scheme == "https" else 80
    return parts.hostname or host, parts.port or default_port
