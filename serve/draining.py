"""uvicorn's server, with an end at which no accepted request is lost."""

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

# Clients that keep their connections get this time to be told, with an answer, not to.
_LAME_DUCK_S = 1.0

# Connections that were accepted last get this time to ask.
_FIRST_REQUEST_S = 0.25

_POLL_S = 0.01

# Of <linux/filter.h> and <asm-generic/socket.h>, for which Python has no names. One instruction,
# BPF_RET | BPF_K: of each packet, zero bytes are let through.
_SO_ATTACH_FILTER = 26
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)


class DrainingServer(uvicorn.Server):
    """A server that ends in steps; uvicorn's own closes what the kernel has accepted for it.

    1. `on_drain` is called, and each answer says that it is the last on its connection. New
       connections are still taken, until all have gone or for a second.
    2. What the kernel has accepted is taken from it, and the door is closed behind that.
    3. Connections with no request on its way are closed, and the others answered, as uvicorn does.

    A second signal ends the process at once.
    """

    def __init__(
        self, config: uvicorn.Config, *, drain_s: float, on_drain: Callable[[], None]
    ) -> None:
        """Prepares a server.

        Args:
            config: uvicorn's; its connections must be `Connection`s.
            drain_s: Longest time from the signal to the end; what is not answered then is dropped.
            on_drain: Called first.
        """
        super().__init__(config)
        self._drain_s = drain_s
        self._on_drain = on_drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins the end at the first signal. uvicorn would raise it again once all is done."""
        if self.should_exit:
            _logger.warning("Ended at once by a second signal; open requests are lost.")
            os._exit(128 + sig)
        _logger.info("Draining after %s: open requests are answered.", signal.Signals(sig).name)
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends in the steps that the class tells; see `uvicorn.Server`."""
        deadline = time.monotonic() + self._drain_s
        self._on_drain()
        # uvicorn puts these on every answer.
        headers = [*self.server_state.default_headers, CLOSE_HEADER]
        self.server_state.default_headers = headers
        for connection in self._connections():
            connection.announce_end()
        await self._until(
            lambda: not self.server_state.connections, min(_LAME_DUCK_S, self._drain_s)
        )
        await self._take_backlog(sockets or [])
        # The event loop makes connections of what it has accepted in its next turns.
        await asyncio.sleep(_POLL_S)
        await self._until(
            lambda: not any(connection.is_fresh for connection in self._connections()),
            min(_FIRST_REQUEST_S, self._drain_s),
        )
        self.config.timeout_graceful_shutdown = max(1, math.ceil(deadline - time.monotonic()))
        await super().shutdown(sockets)

    def _connections(self) -> list[Connection]:
        return [one for one in self.server_state.connections if isinstance(one, Connection)]

    async def _until(self, is_done: Callable[[], bool], limit_s: float) -> None:
        end = time.monotonic() + limit_s
        while not is_done() and time.monotonic() < end:
            await asyncio.sleep(_POLL_S)

    async def _take_backlog(self, sockets: list[socket.socket]) -> None:
        """Closes the listening sockets behind the last connection that the kernel has accepted."""
        accepted = []
        for listening in sockets:
            _stop_connecting(listening)
            while (connection := _accept(listening)) is not None:
                accepted.append(connection)
        # Nothing between the last `accept` and this: where the kernel still connects, a connection
        # that came then would be reset.
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        for connection in accepted:
            await loop.connect_accepted_socket(self._new_connection, connection)

    def _new_connection(self) -> asyncio.Protocol:
        return Connection(self.config, self.server_state, self.lifespan.state)


def _stop_connecting(listening: socket.socket) -> None:
    """Lets the kernel complete no more connections; what it has completed can still be accepted.

    By a packet filter on the listening socket, which Linux has: it drops all that comes to it. A
    client that connects now tries again, and is refused once the socket is closed.
    """
    if not sys.platform.startswith("linux"):
        return
    program = ctypes.create_string_buffer(_DROP_ALL)
    try:
        listening.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program))
        )
    except OSError as error:
        _logger.warning("Connections that come while the door closes may be reset: %s", error)


def _accept(listening: socket.socket) -> socket.socket | None:
    """The next connection that waits, if one does."""
    try:
        connection, _ = listening.accept()
    except BlockingIOError:
        return None
    connection.setblocking(False)
    return connection
