"""uvicorn's HTTP connection, with a timeout on slow clients and a lossless shutdown."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """One HTTP connection.

    uvicorn limits the time between two requests, but waits forever for the first request, for
    headers sent byte by byte, and for the rest of a refused body. Here each of these has
    `head_timeout_s`. On shutdown, an idle connection is closed only if no request is arriving.
    """

    head_timeout_s = 30.0
    _timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the timeout for the first request; see `asyncio.Protocol`."""
        super().connection_made(transport)
        self._start_timeout()

    def data_received(self, data: bytes) -> None:
        """Keep the timeout running unless a request has started; see `asyncio.Protocol`."""
        waiting = self.timeout_keep_alive_task
        if waiting is not None and waiting is not self._timeout:
            # The first byte after a pause, which may be longer than the timeout.
            self._deadline = self.loop.time() + self.head_timeout_s
        super().data_received(data)
        self._schedule_timeout()

    def on_response_complete(self) -> None:
        """Start the timeout for the rest of a refused body."""
        super().on_response_complete()
        self._start_timeout()

    def announce_close(self) -> None:
        """Add "Connection: close" to the answer in progress."""
        if not self.is_idle and CLOSE_HEADER not in self.cycle.default_headers:
            self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]

    def shutdown(self) -> None:
        """Close the connection, after its pending request if there is one."""
        if self.is_idle and self._has_unread_data():
            return
        self.announce_close()
        super().shutdown()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_new(self) -> bool:
        """Whether no request has been received yet."""
        return self.cycle is None

    def _has_unread_data(self) -> bool:
        """Return whether part of a request is in our buffer or the kernel's."""
        if self.conn.trailing_data[0]:
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self.transport.get_extra_info("socket"), selectors.EVENT_READ)
            return bool(selector.select(0))

    def _start_timeout(self) -> None:
        self._deadline = self.loop.time() + self.head_timeout_s
        self._schedule_timeout()

    def _schedule_timeout(self) -> None:
        # uvicorn's own, shorter timeout for idle connections is cancelled by every byte received.
        if self.timeout_keep_alive_task is None and self.is_idle:
            self._timeout = self.loop.call_at(self._deadline, self.timeout_keep_alive_handler)
            self.timeout_keep_alive_task = self._timeout
