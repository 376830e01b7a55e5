"""`python -m serve.server`: serves one or more ONNX files over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from functools import partial

from serve.command import needs_packages

with needs_packages(__name__):
    import uvicorn

    from serve.access import is_loopback
    from serve.app import create_app
    from serve.connection import Connection
    from serve.draining import DrainingServer
    from serve.model import Model
    from serve.models import Models, describe
    from serve.server_options import build_parser, parse_settings, parse_source
    from serve.service import Service
    from serve.settings import Settings
    from serve.telemetry import Telemetry

_logger = logging.getLogger("serve")
_HIGHEST_PORT = 65535
_BACKLOG = 2048


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code: 0 stopped by a signal, 2 failed to start."""
    given = build_parser().parse_args(arguments)
    _set_up_logging(access_log=given.access_log)
    with contextlib.ExitStack() as stack:
        try:
            settings = parse_settings(given)
            listening = stack.enter_context(bind(given.host, given.port))
            telemetry = Telemetry()
            models = Models(
                [parse_source(text) for text in given.models],
                open_model=partial(Model, device=given.device, threads=given.threads),
                settings=settings,
                telemetry=telemetry,
            )
            _check_cues(models, settings)
        except (ValueError, OSError, RuntimeError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        if settings.api_key is None and not is_loopback(given.host):
            _logger.warning("No API key: everyone who can reach %s is answered.", given.host)
        # The kernel accepts connections from here on, before the log says so.
        listening.listen(_BACKLOG)
        facts = "; ".join(describe(served.current) for served in models)
        _logger.info("Serving at %s - %s", _url(given.host, listening), facts)
        server = build_server(Service(models, settings, telemetry), access_log=given.access_log)
        asyncio.run(_serve(server, models, listening))
    return 0


def _check_cues(models: Models, settings: Settings) -> None:
    """Check that a model has cues if answers that rest on ticked ones are to be marked.

    Raises:
        ValueError: None has.
    """
    if settings.max_ticked is not None and not any(one.current.spec.num_cues for one in models):
        names = ", ".join(served.name for served in models)
        raise ValueError(
            f"--max-ticked needs a model with cues. Received only models without: {names}. Export "
            "with --cues DIR, or omit --max-ticked."
        )


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket to an address, without listening yet.

    Raises:
        ValueError: The port is out of range.
        OSError: The address is in use, or does not belong to this machine.
    """
    if not 0 <= port <= _HIGHEST_PORT:
        raise ValueError(f"A port must be in [0, {_HIGHEST_PORT}]. Received: {port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets that name the protocol. Without it, each answer takes
    # 40 ms longer.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # Otherwise the port stays in use for a minute after a previous server has stopped.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise OSError(
            f"Cannot listen at {host} port {port}: {error.strerror}. Use another --port or --host."
        ) from error
    return listening


def build_server(service: Service, *, access_log: bool = False) -> DrainingServer:
    """Create a server for a service, to run on a socket from `bind`."""
    settings = service.settings

    class LimitedConnection(Connection):
        head_timeout_s = settings.timeout_s

    config = uvicorn.Config(
        create_app(service),
        backlog=_BACKLOG,
        http=LimitedConnection,
        # uvicorn only adds it to the time of its event loop.
        timeout_keep_alive=settings.keep_alive_s,  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=access_log,
        server_header=False,
        # The client's address is not used.
        proxy_headers=False,
    )

    def drain() -> None:
        service.is_draining = True

    return DrainingServer(config, drain_s=settings.drain_s, on_drain=drain)


async def _serve(server: DrainingServer, models: Models, listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = loop.create_task(models.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    # Windows has no SIGHUP, and only the main thread receives signals.
    if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
        loop.add_signal_handler(signal.SIGHUP, reload)
    await server.serve([listening])


def _url(host: str, listening: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}"


def _set_up_logging(*, access_log: bool) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    _logger.setLevel(logging.INFO)
    if access_log:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        access = logging.getLogger("uvicorn.access")
        access.addHandler(handler)
        access.setLevel(logging.INFO)
        access.propagate = False


if __name__ == "__main__":
    sys.exit(main())
