"""Says within seconds whether a host can be reached, before a download is tried."""

from __future__ import annotations

import socket
import threading
import urllib.parse
import urllib.request

HTTPS_PORT = 443


def require_reachable(host: str, *, what: str, remedy: str, timeout_s: float = 5.0) -> None:
    """Returns if a connection to the host opens, and raises within `timeout_s` otherwise.

    Where the environment names a proxy for https (`https_proxy`, `no_proxy`), the proxy must be
    reachable instead, for it is the proxy that looks up the host.

    Args:
        host: Name of the server that the download comes from.
        what: What is to be downloaded, e.g. "the data set 'cifar100'"; starts the message.
        remedy: What to do without a network; ends the message.
        timeout_s: Seconds for looking up the name and connecting together, > 0.

    Raises:
        ConnectionError: The name is not found, the connection is refused, or time is up.
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

    # The look-up of a name obeys no timeout and cannot be interrupted: it is left behind in its
    # thread, which does not keep the process alive.
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
    """Host and port to connect to: the proxy's where one is set for this host."""
    proxy = urllib.request.getproxies().get("https")
    if not proxy or urllib.request.proxy_bypass(host):
        return host, HTTPS_PORT
    parts = urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}")
    default_port = HTTPS_PORT if parts.scheme == "https" else 80
    return parts.hostname or host, parts.port or default_port
