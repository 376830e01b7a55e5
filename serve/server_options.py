"""Command-line options of `python -m serve.server`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from serve.access import hosts_for
from serve.command import program_name
from serve.models import Source
from serve.settings import Settings

KEY_VARIABLE = "PROXY_SERVE_API_KEY"

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    defaults: dict[str, Any] = vars(Settings())
    defaults |= {"max_wait_ms": 1000 * Settings.max_wait_s, "keep_alive": Settings.keep_alive_s}
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
        (
            limits,
            "keep_alive",
            float,
            "S",
            "longest time that an idle connection stays open; behind a proxy, longer than there "
            "(default: %(default)g)",
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
        keep_alive_s=given.keep_alive,
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
