"""The web server of the page on which cues are ticked."""

from __future__ import annotations

import os
import socket
import threading
from importlib import resources
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from proxy_keras.cues.verdicts import VERDICTS
from proxy_keras.ticking.cue_page import halves_part, pictures_part
from proxy_keras.ticking.cue_store import CueStore
from proxy_keras.ticking.json_body import read_object
from proxy_keras.ticking.local_access import LocalAccess, error_response
from proxy_keras.ticking.tick_board import StaleUndoError, TickBoard

MOST_PAGES = 10_000
"""Largest number of a page of pictures; there are fewer in any data."""

PARTS = {"cues.css": "text/css", "cues.js": "text/javascript"}


class CueServer(uvicorn.Server):
    """A server of the page, for this machine only; listens at once, answers in `serve_forever`.

    Args:
        store: The cues.
        port: Port to listen on; 0: any free one.

    Attributes:
        port: The port.

    Raises:
        OSError: The port is in use.
    """

    def __init__(self, store: CueStore, port: int = 0) -> None:
        self._store = store
        self._board = TickBoard(store)
        # Apart from the verdicts, so that ticking does not wait for pictures.
        self._drawing = threading.Lock()
        self._listening = _listen(port)
        self.port = int(self._listening.getsockname()[1])
        app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/page/{name}", self._part),
                Route("/state.json", self._state),
                Route("/cues/{name}/halves", self._halves),
                Route("/cues/{name}/pictures", self._pictures),
                Route("/verdict", self._say, methods=["POST"]),
                Route("/undo", self._undo, methods=["POST"]),
            ],
            middleware=[Middleware(LocalAccess), Middleware(GZipMiddleware)],
            exception_handlers={
                HTTPException: _refused,
                StaleUndoError: _stale,
                Exception: _failed,
            },
        )
        quiet: dict[str, Any] = {"log_config": None, "log_level": "error", "server_header": False}
        limits: dict[str, Any] = {"http": "h11", "ws": "none", "timeout_graceful_shutdown": 5}
        super().__init__(uvicorn.Config(app, lifespan="off", **quiet, **limits))

    def serve_forever(self) -> None:
        """Answer requests until a signal or `should_exit`, then close the port."""
        with self._listening:
            self.run(sockets=[self._listening])

    def _page(self, request: Request) -> Response:
        return HTMLResponse(_or_error(self._board.page))

    def _part(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in PARTS:
            raise HTTPException(404, "There is no such file.")
        file = resources.files("proxy_keras.ticking") / "page" / name
        return Response(file.read_bytes(), media_type=PARTS[name])

    def _state(self, request: Request) -> Response:
        return JSONResponse(_or_error(self._board.state))

    def _halves(self, request: Request) -> Response:
        cues, name = self._store.cues, self._cue(request.path_params["name"])
        halves = cues.tree.halves_of(name)
        if not halves:
            raise HTTPException(404, f"Cue {name} is a single cluster, so it has no halves.")
        problem = ""
        try:
            with self._drawing:
                self._store.draw(list(halves))
        except (ValueError, OSError) as error:
            problem = str(error)
        return HTMLResponse(halves_part(cues, name, self._store.pictures, problem))

    def _pictures(self, request: Request) -> Response:
        name = self._cue(request.path_params["name"])
        text = request.query_params.get("page", "1")
        is_number = text.isascii() and text.isdecimal() and len(text) < 6
        if not is_number or not 1 <= int(text) <= MOST_PAGES:
            raise HTTPException(
                400, f"`page` must be from 1 to {MOST_PAGES}. Received: {text[:32]!r}"
            )
        try:
            with self._drawing:
                pictures = self._store.draw([name], int(text))[name]
        except (ValueError, OSError) as error:
            raise HTTPException(503, f"The images cannot be read: {error}") from error
        return HTMLResponse(pictures_part(pictures))

    async def _say(self, request: Request) -> Response:
        values = await read_object(request, ("cue", "verdict"))
        name, verdict = self._cue(values["cue"]), values["verdict"]
        if verdict is not None and verdict not in VERDICTS:
            rule = f"`verdict` must be {', '.join(VERDICTS)} or null."
            raise HTTPException(400, f"{rule} Received: {str(verdict)[:64]!r}")
        return JSONResponse(await run_in_threadpool(_or_error, self._board.say, name, verdict))

    async def _undo(self, request: Request) -> Response:
        values = await read_object(request, ("revision",))
        if not isinstance(values["revision"], str):
            raise HTTPException(400, "`revision` must be that of the state, a text.")
        revision = values["revision"]
        return JSONResponse(await run_in_threadpool(_or_error, self._board.undo, revision))

    def _cue(self, name: object) -> str:
        """Return the name of a cue, checked."""
        if not isinstance(name, str):
            raise HTTPException(400, "`cue` must be the name of a cue, a text.")
        try:
            self._store.cues.tree.node(name)
        except ValueError as error:
            raise HTTPException(404, str(error)[:256]) from error
        return name


def _or_error(function: Any, *values: object) -> Any:
    """Return the result of a function on verdicts, or an answer that says what is wrong."""
    try:
        return function(*values)
    except (ValueError, OSError) as error:
        raise HTTPException(500, f"The verdicts cannot be read or saved: {error}") from error


async def _refused(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    detail = str(getattr(error, "detail", error))
    # Those of the router itself are not sentences.
    general = {
        "Not Found": "There is nothing at this address. The page is at /",
        "Method Not Allowed": f"{request.method[:16]} is not possible at this address.",
    }
    return error_response(status, general.get(detail, detail))


async def _stale(request: Request, error: Exception) -> Response:
    return error_response(409, str(error))


async def _failed(request: Request, error: Exception) -> Response:
    return error_response(500, "The server failed. Its terminal says why.")


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # On other systems it would let two servers share a port.
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen()
    except OSError:
        listening.close()
        raise
    return listening
