"""The command `python -m proxy_keras.cues`."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from proxy_keras.io.any_text import allow_any_text
from proxy_keras.io.extras import MissingExtra, extra
from proxy_keras.io.program_name import program_name
from proxy_keras.io.quiet_start import add_verbose_option, start_quietly
from proxy_keras.settings import DataConfig
from proxy_keras.settings.options import add_options
from proxy_keras.ticking.options import CueOptions


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; options that are not given are absent, see `CueOptions`."""
    parser = argparse.ArgumentParser(
        prog=program_name("proxy_keras.cues"),
        description="Find what a classifier looks at, told apart, and tick what is not the object. "
        "Writes cues.html and cues.json. Cues that were found before are opened.",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("model", type=Path, metavar="RUN", help="a run folder or FILE.keras")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the cues (default: RUN/cues)"
    )
    _add_finding(parser.add_argument_group("finding"))
    _add_objects(parser.add_argument_group("where the object is, in some or all images"))
    _add_ticking(parser.add_argument_group("ticking"))
    group = parser.add_argument_group("page")
    group.add_argument(
        "--page", action="store_true", help="serve the page on which cues are ticked"
    )
    group.add_argument(
        "--port", type=_port, metavar="N", help="its port; 0: any free one (default: 8766)"
    )
    group = parser.add_argument_group("output")
    group.add_argument("--quiet", action="store_true", help="hide progress bars")
    add_verbose_option(group)
    add_options(parser.add_argument_group("data (not needed for a run)"), DataConfig)
    return parser


def _add_finding(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--clusters",
        type=_clusters,
        metavar="K",
        help="number of clusters, or auto: by the number of cells, at most 96 (default: auto)",
    )
    group.add_argument(
        "--layer",
        metavar="NAME",
        help="layer whose cells are clustered (default: the last one with spatial positions)",
    )
    group.add_argument(
        "--max-images",
        type=int,
        metavar="N",
        help="training images to examine, and validation images, at most (default: 10000)",
    )
    group.add_argument(
        "--shown", type=int, metavar="N", help="number of cues to show at first (default: 16)"
    )
    group.add_argument("--seed", type=int, metavar="I", help="seed of all draws (default: 0)")
    group.add_argument("--batch-size", type=int, metavar="B", help="images per batch (default: 64)")
    group.add_argument(
        "--again",
        action="store_true",
        help="find the cues again where there are some; this drops their verdicts",
    )


def _add_objects(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--boxes",
        type=Path,
        metavar="FILE.csv",
        help="table of object boxes (default: boxes.csv in the folder of the images)",
    )
    group.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="folder of object masks (default: masks in the folder of the images)",
    )
    group.add_argument(
        "--object-share",
        type=float,
        metavar="S",
        help="use the objects of this share of the examined training images, drawn by the seed "
        "(default: all that are known)",
    )


def _add_ticking(group: argparse._ActionsContainer) -> None:
    for option, text in (
        ("--tick", "cues that are not the object, such as 3,7b"),
        ("--object", "cues that are the object"),
        ("--mixture", "cues that are several things at once"),
        ("--untick", "cues whose verdict is taken back"),
    ):
        group.add_argument(option, type=_names, action="extend", metavar="CUES", help=text)
    group.add_argument(
        "--tick-outside",
        type=float,
        metavar="X",
        help="tick cues with less than this share of their evidence on the object",
    )
    group.add_argument(
        "--undo", action="store_true", help="take the last verdict back, before anything else"
    )


def _clusters(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 2:
        raise argparse.ArgumentTypeError(f"must be auto or at least 2. Received: {text!r}")
    return count


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"must be names such as 3,7b. Received: {text!r}")
    return names


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535. Received: {text!r}")
    return port


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 2 bad data, 130 interrupted."""
    allow_any_text()
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    given = vars(build_parser().parse_args(arguments))
    model = given.pop("model")
    given.pop("verbose", None)
    names = {field.name for field in dataclasses.fields(CueOptions)}
    options = {name: given.pop(name) for name in names if name in given}
    options |= {name: tuple(value) for name, value in options.items() if isinstance(value, list)}
    command = f"{program_name('proxy_keras.cues')} {shlex.join(arguments)}"
    try:
        checked = CueOptions(**options)
        start_quietly(arguments)
        with extra("cues"):
            from proxy_keras.ticking.journey import run_command
        run_command(model, checked, frozenset(options), given)
    except (MissingExtra, ValueError, OSError, FloatingPointError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nStopped. Restart with: {command}", file=sys.stderr)
        return 130
    return 0
