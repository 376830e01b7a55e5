"""The command `python -m proxy_keras.watch`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from proxy_keras.io.any_text import allow_any_text
from proxy_keras.io.extras import command_extra
from proxy_keras.io.program_name import program_name
from proxy_keras.training.run_folder import has_begun

with command_extra("train", __name__):
    from proxy_keras.watching import RunMonitor, WatchServer, page_url

EARLY_FILES = frozenset({"labels", "lr_range_test", "run", "skipped", "split"})
"""Files (without suffix) that a training run writes before `config.json`."""

MAX_SUGGESTIONS = 5
"""Maximum number of run folders in a message."""


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    parser = argparse.ArgumentParser(
        prog=program_name("proxy_keras.watch"),
        description="Serve a live page of a training run: curves, proxies, errors per class.",
    )
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="the run folder (--out of the training run)"
    )
    parser.add_argument(
        "--host",
        type=_host,
        default="127.0.0.1",
        help="address to listen on (default: 127.0.0.1, this machine only; 0.0.0.0: all networks)",
    )
    parser.add_argument(
        "--port", type=_port, default=8765, help="port to listen on (default: 8765; 0: any free)"
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="also accept this name in the Host header, besides IP addresses, localhost and the "
        "name of this machine; may be repeated",
    )
    return parser


def _host(text: str) -> str:
    # The system reads an empty name as all addresses.
    if not text.strip():
        raise argparse.ArgumentTypeError("must be an address or a host name, e.g. 127.0.0.1.")
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
    """Run the command until it is stopped and return its exit code: 0; 2 for bad arguments."""
    allow_any_text()
    given = build_parser().parse_args(arguments)
    # SIGTERM stops it like Ctrl-C.
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
    print(f"Watching {folder} at {page_url(server, host)} (Ctrl-C to stop)", flush=True)
    if not server.is_loopback:
        print("Everyone who can reach this machine can see the run.", flush=True)
    if not has_begun(folder):
        print("No training run has started there yet; the page waits for one.", flush=True)
    server.serve_forever()
    return 0


def _check(folder: Path) -> None:
    """Refuse a path that cannot be or become a run folder."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file. Give a run folder.")
    inside = sorted(folder.iterdir())
    names = {entry.name.partition(".")[0] for entry in inside if entry.is_file()}
    if not inside or has_begun(folder) or names & EARLY_FILES:
        return
    runs = [str(entry) for entry in inside if has_begun(entry)]
    raise ValueError(
        f"{folder} is not a run folder: it is not empty and has no config.json. Give the --out "
        "folder of a training run"
        + (f", such as {', '.join(runs[:MAX_SUGGESTIONS])}." if runs else ".")
    )


if __name__ == "__main__":
    sys.exit(main())
