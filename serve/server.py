"""`python -m serve.server`: serves one or more ONNX files over HTTP."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from serve.command import needs_packages, program_name

with needs_packages(__name__):
    import uvicorn

    from serve.access import hosts_for, is_loopback
    from serve.app import create_app
    from serve.connection import Connection
    from serve.draining import DrainingServer
    from serve.model import Model
    from serve.models import Models, Source, describe
    from serve.service import Service
    from serve.settings import Settings
    from serve.telemetry import Telemetry

KEY_VARIABLE = "PROXY_SERVE_API_KEY"

_logger = logging.getLogger("serve")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_HIGHEST_PORT = 65535
_BACKLOG = 2048


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    defaults: dict[str, Any] = vars(Settings()) | {"max_wait_ms": 1000 * Settings.max_wait_s}
    parser = argparse.ArgumentParser(
        prog=program_name("serve.server"),
        description="Serves one or more ONNX files of `python -m export` over HTTP: classes and "
        "heatmaps of images. A web page is at /, the API reference at /docs. SIGHUP reloads the "
        "files; SIGTERM answers open requests and exits.",
        epilog=f"The API key is read from --api-key-file or the variable {KEY_VARIABLE}; on the "
        "command line, every user of the machine could see it.",
    )
    parser.add_argument(
        "models",
        nargs="+",
        metavar="[NAME=]FILE.onnx",
        help="model file, and its name on the server (default: the name in the file)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s, this machine")
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s; 0: any free")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads of ONNX Runtime (default: one per core)"
    )
    answers, batches, limits, access = map(
        parser.add_argument_group, ("answers", "batches", "limits", "access")
    )
    for group, name, kind, metavar, text in (
        (batches, "max_batch", int, "N", "most images in a batch (default: %(default)s)"),
        (
            batches,
            "max_wait_ms",
            float,
            "MS",
            "longest wait to fill a batch (default: %(default)g)",
        ),
        (batches, "decoders", int, "N", "threads that decode images (default: %(default)s)"),
        (
            answers,
            "max_ticked",
            float,
            "SHARE",
            "mark answers of which more than this share, in [0, 1], rests on cues that are ticked "
            "as not the object (default: none are marked)",
        ),
        (limits, "max_body", _size, "BYTES", "largest request, e.g. 500K or 32M (default: 32M)"),
        (limits, "max_pixels", int, "N", "largest image that is decoded (default: %(default)s)"),
        (limits, "max_queue", int, "N", "most active requests per model (default: %(default)s)"),
        (
            limits,
            "timeout_s",
            float,
            "S",
            "longest time to answer a request (default: %(default)g)",
        ),
        (limits, "drain_s", float, "S", "longest time from SIGTERM to exit (default: %(default)g)"),
    ):
        option = "--" + name.replace("_", "-")
        group.add_argument(option, type=kind, default=defaults[name], metavar=metavar, help=text)
    access.add_argument("--api-key-file", type=Path, metavar="FILE", help="file with the API key")
    access.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="allow calls from pages of this origin, e.g. https://example.org (*: any); repeatable",
    )
    access.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="accept this name in the Host header too; by default, a server on a loopback address "
        "accepts only names of this machine, others accept all; repeatable",
    )
    access.add_argument(
        "--access-log", action="store_true", help="print a line per request on stdout"
    )
    return parser


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


def parse_settings(given: argparse.Namespace) -> Settings:
    """Return the settings given by parsed arguments; see `build_parser`.

    Raises:
        ValueError: A number is out of range, or an origin or the key is invalid.
        OSError: The key's file cannot be read.
    """
    return Settings(
        max_batch=given.max_batch,
        max_wait_s=given.max_wait_ms / 1000,
        max_queue=given.max_queue,
        max_body=given.max_body,
        max_pixels=given.max_pixels,
        timeout_s=given.timeout_s,
        drain_s=given.drain_s,
        decoders=given.decoders,
        max_ticked=given.max_ticked,
        api_key=_api_key(given.api_key_file),
        cors_origins=tuple(given.cors_origin),
        hosts=hosts_for(given.host, tuple(given.allowed_host)),
    )


def parse_source(text: str) -> Source:
    """Parse FILE or NAME=FILE; the path of an existing file may contain an equals sign."""
    name, equals, path = text.partition("=")
    if not equals or Path(text).is_file():
        return Source(Path(text))
    return Source(Path(path), name)


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


def _api_key(path: Path | None) -> str | None:
    """Read the API key from the file or else the environment; None if there is neither.

    An empty key is returned as is and refused by `Settings`: it must not disable the check.
    """
    if path is None:
        return os.environ.get(KEY_VARIABLE)
    return path.read_text("utf-8").strip()


def _size(text: str) -> int:
    number = text.upper().removesuffix("B").removesuffix("I")
    unit = number[-1:] if number[-1:] in _UNITS else ""
    digits = number.removesuffix(unit)
    if not (digits.isascii() and digits.isdecimal()):
        raise argparse.ArgumentTypeError(f"a size is a number of bytes, e.g. 500K: {text!r}")
    return int(digits) * _UNITS[unit]


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
