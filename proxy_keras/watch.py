"""`python -m proxy_keras.watch`: a page in the browser that follows a training."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from proxy_keras.training.run_folder import has_begun
from proxy_keras.watching import RunMonitor, WatchServer, page_url

EARLY_FILES = frozenset({"labels", "lr_range_test", "run", "skipped", "split"})
"""Files, without their endings, that a training writes before it has begun by `has_begun`."""

MAX_SUGGESTIONS = 5
"""Run folders that a message names."""


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m proxy_keras.watch",
        description="Serves a page that follows a training: curves, proxies, errors per class.",
    )
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="the run folder (--out of the training)"
    )
    parser.add_argument(
        "--host",
        type=_host,
        default="127.0.0.1",
        help="address to listen on (127.0.0.1: this machine only; 0.0.0.0: all that reach it)",
    )
    parser.add_argument(
        "--port", type=_port, default=8765, help="port to listen on (8765); 0: any free one"
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="answer to this name in the Host header too, beside numbers, localhost and this "
        "machine's name; any number of times",
    )
    return parser


def _host(text: str) -> str:
    # To the system the empty name is every address.
    if not text.strip():
        raise argparse.ArgumentTypeError("must be an address or a name, such as 127.0.0.1.")
    return text


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535. Received: {text!r}")
    return port


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command until it is ended, and returns its exit code: 0; 2 for bad arguments."""
    given = build_parser().parse_args(arguments)
    # An end by SIGTERM is the end by Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _serve(given.run, given.host, given.port, given.allowed_host)
    except KeyboardInterrupt:
        return 0


def _serve(folder: Path, host: str, port: int, allowed: Sequence[str]) -> int:
    try:
        _check(folder)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        server = WatchServer(RunMonitor(folder), host, port, allowed)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        print(
            f"error: cannot listen on {host}, port {port}: {why}. Give another --host or --port.",
            file=sys.stderr,
        )
        return 2
    with server:
        print(f"{page_url(server, host)} follows {folder}; Ctrl-C ends it", flush=True)
        if not server.is_loopback:
            print("Whoever reaches this machine there can see the run.", flush=True)
        if not has_begun(folder):
            print("No training has begun there yet; the page waits for one.", flush=True)
        server.serve_forever()
    return 0


def _check(folder: Path) -> None:
    """Refuses what no training can have as its folder, now or later."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file. Give the run folder of a training.")
    inside = sorted(folder.iterdir())
    names = {entry.name.partition(".")[0] for entry in inside if entry.is_file()}
    if not inside or has_begun(folder) or names & EARLY_FILES:
        return
    runs = [str(entry) for entry in inside if has_begun(entry)]
    raise ValueError(
        f"{folder} is not a run folder: it is not empty, and has no config.json. Give the folder "
        "that a training was given as --out"
        + (f", such as {', '.join(runs[:MAX_SUGGESTIONS])}." if runs else ".")
    )


if __name__ == "__main__":
    sys.exit(main())
