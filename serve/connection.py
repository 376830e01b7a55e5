"""uvicorn's HTTP connection, with a limit on slow heads and an end that loses no request."""

from __future__ import annotations

import selectors
from typing import Any

from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol


class Connection(H11Protocol):
    """One connection.

    uvicorn closes a connection that was idle after an answer, but waits for ever for one that
    never asks, sends its head byte by byte, or goes on with a body that was refused already. Here
    each of them has `head_timeout_s`. What is between two requests when the server ends is closed
    only if no request is on its way.
    """

    head_timeout_s = 30.0

    def connection_made(self, transport: Any) -> None:
        """Begins the time in which the first request must come; see `asyncio.Protocol`."""
        super().connection_made(transport)
        self._begin_wait()

    def data_received(self, data: bytes) -> None:
        """Lets the time run on while what comes is no new request; see `asyncio.Protocol`."""
        super().data_received(data)
        self._limit_wait()

    def on_response_complete(self) -> None:
        """Begins the time in which the rest of a refused body must come."""
        super().on_response_complete()
        self._begin_wait()

    def announce_end(self) -> None:
        """Lets the answer under way say that it is the connection's last."""
        if not self.is_between and CLOSE_HEADER not in self.cycle.default_headers:
            self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]

    def shutdown(self) -> None:
        """Ends the connection: now, or with the answer to the request that is on its way."""
        if self.is_between and self._is_asked():
            return
        self.announce_end()
        super().shutdown()

    @property
    def is_between(self) -> bool:
        """No request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_fresh(self) -> bool:
        """There has been no request yet."""
        return self.cycle is None

    def _is_asked(self) -> bool:
        """Whether part of a request has come, into our buffer or the kernel's."""
        return bool(self.conn.trailing_data[0]) or _is_readable(
            self.transport.get_extra_info("socket").fileno()
        )

    def _begin_wait(self) -> None:
        self._wait_until = self.loop.time() + self.head_timeout_s
        self._limit_wait()

    def _limit_wait(self) -> None:
        # uvicorn has its own, shorter limit for idle connections, and takes it back at each byte.
        if self.timeout_keep_alive_task is None and self.is_between:
            self.timeout_keep_alive_task = self.loop.call_at(
                self._wait_until, self.timeout_keep_alive_handler
            )


def _is_readable(file_descriptor: int) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(file_descriptor, selectors.EVENT_READ)
        return bool(selector.select(0))
