"""A uvicorn server that shuts down without losing an accepted request."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import math
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from types import FrameType

import uvicorn
from uvicorn.protocols.http.flow_control import CLOSE_HEADER

from serve.connection import Connection

_logger = logging.getLogger(__name__)

# Time in which clients with kept-alive connections can be sent "Connection: close" with an answer.
_LAME_DUCK_S = 1.0

# Time in which the connections accepted last can send a request.
_FIRST_REQUEST_S = 1.0

_POLL_S = 0.01

# From <asm-generic/socket.h> and <linux/filter.h>, for which Python has no names. One instruction,
# BPF_RET | BPF_K: zero bytes of each packet pass.
_SO_ATTACH_FILTER = 26
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)


class DrainingServer(uvicorn.Server):
    """A server that drains before it stops; uvicorn's own resets connections in the backlog.

    1. `on_drain` is called, and every answer closes its connection. New connections are still
       accepted, until all connections are closed or for one second.
    2. All connections in the backlog are accepted, and the listening sockets are closed.
    3. Connections without a pending request are closed; the others are answered first.

    A second signal ends the process immediately.
    """

    def __init__(
        self, config: uvicorn.Config, *, drain_s: float, on_drain: Callable[[], None]
    ) -> None:
        """Create a server.

        Args:
            config: uvicorn's; its HTTP protocol must be a `Connection`.
            drain_s: Longest time from the signal to the end; requests open then are dropped.
            on_drain: Called first.
        """
        super().__init__(config)
        self._drain_s = drain_s
        self._on_drain = on_drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start draining at the first signal; unlike uvicorn's, does not raise it again."""
        if self.should_exit:
            _logger.warning("Stopped by a second signal; open requests are lost.")
            os._exit(128 + sig)
        # Before logging, so that a second signal during it is recognised.
        self.should_exit = True
        _logger.info("Draining after %s: answering open requests.", signal.Signals(sig).name)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain and stop, in the steps listed above; see `uvicorn.Server`."""
        deadline = time.monotonic() + self._drain_s
        self._on_drain()
        # uvicorn adds these to every answer.
        headers = [*self.server_state.default_headers, CLOSE_HEADER]
        self.server_state.default_headers = headers
        for connection in self._connections():
            connection.announce_close()
        await self._wait_until(
            lambda: not self.server_state.connections, min(_LAME_DUCK_S, self._drain_s)
        )
        await self._accept_backlog(sockets or [])
        # The event loop needs a turn to create connections from the sockets it has accepted.
        await asyncio.sleep(_POLL_S)
        await self._wait_until(
            lambda: not any(connection.is_new for connection in self._connections()),
            min(_FIRST_REQUEST_S, self._drain_s),
        )
        self.config.timeout_graceful_shutdown = max(1, math.ceil(deadline - time.monotonic()))
        await super().shutdown(sockets)

    def _connections(self) -> list[Connection]:
        return [one for one in self.server_state.connections if isinstance(one, Connection)]

    async def _wait_until(self, is_done: Callable[[], bool], limit_s: float) -> None:
        end = time.monotonic() + limit_s
        while not is_done() and time.monotonic() < end:
            await asyncio.sleep(_POLL_S)

    async def _accept_backlog(self, sockets: list[socket.socket]) -> None:
        """Accept every connection in the backlog, then close the listening sockets."""
        accepted = []
        for listening in sockets:
            _refuse_connections(listening)
            while (connection := _accept(listening)) is not None:
                accepted.append(connection)
        # Immediately after the last `accept`: without the filter, a connection made in between
        # would be reset.
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in accepted:
            await loop.connect_accepted_socket(
                lambda: Connection(self.config, self.server_state, self.lifespan.state), connection
            )


def _refuse_connections(listening: socket.socket) -> None:
    """Let the kernel complete no more connections; those in the backlog can still be accepted.

    On Linux, a packet filter on the listening socket drops everything that arrives. A client that
    connects now tries again, and is refused once the socket is closed.
    """
    if not sys.platform.startswith("linux"):
        return
    program = ctypes.create_string_buffer(_DROP_ALL)
    try:
        listening.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program))
        )
    except OSError as error:
        _logger.warning("Connections made while the server closes may be reset: %s", error)


def _accept(listening: socket.socket) -> socket.socket | None:
    """Return the next connection of the backlog; None if it is empty."""
    try:
        connection, _ = listening.accept()
    except BlockingIOError:
        return None
    connection.setblocking(False)
    return connection
