"""Command-line options of `python -m serve.predict`."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from serve.command import program_name
from serve.cpus import available_cpus
from serve.session import Device
from serve.split_file import SPLIT_FILE, SUBSETS

_MOST_WORKERS = 16


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; exits with code 2 if options are invalid or incompatible.

    Args:
        arguments: The arguments; None uses those of this process.
    """
    parser = build_parser()
    given = parser.parse_args(arguments)
    _check_together(parser, given)
    return given


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    parser = argparse.ArgumentParser(
        prog=program_name("serve.predict"),
        description="Predicts the classes of images with an exported model. If the images are in "
        "one folder ROOT/CLASS/* with the model's class names, computes scores too.",
        epilog="Exit code: 0 done; 1 done, but some files could not be used (each is listed on "
        "stderr, in --json and in --csv); 2 bad arguments, data or model, or with --strict a bad "
        "file: only overlays may have been written; 130 interrupted.",
    )
    parser.add_argument("model", metavar="FILE.onnx", help="file written by `python -m export`")
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help='images, folders (searched recursively), or globs, e.g. "photos/**/*.jpg"',
    )
    parser.add_argument(
        "--top-k",
        type=_at_least_one,
        default=3,
        metavar="N",
        help="number of classes per image (default: %(default)s)",
    )
    parser.add_argument(
        "--max-ticked",
        type=_share,
        metavar="SHARE",
        help="mark answers of which more than this share, in [0, 1], rests on cues that are ticked "
        "as not the object (models exported with cues)",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--json", type=Path, metavar="FILE", help="write answers and scores to this file"
    )
    output.add_argument(
        "--csv", type=Path, metavar="FILE", help="write a row per image to this file"
    )
    output.add_argument(
        "--overlay",
        type=Path,
        metavar="DIR",
        help="write each image, overlaid with its heatmap, to this folder as PNG",
    )
    output.add_argument(
        "--confusion",
        type=Path,
        metavar="FILE",
        help="write the confusion matrix to this file as CSV",
    )
    output.add_argument("--quiet", action="store_true", help="print no table and no progress bar")
    truth = parser.add_argument_group("true classes")
    truth.add_argument(
        "--labelled",
        action=argparse.BooleanOptionalAction,
        help="read the folder as ROOT/CLASS/* even if it contains other things, or never "
        "(default: only if all its sub-folders are named like classes)",
    )
    truth.add_argument(
        "--split",
        type=Path,
        metavar="FILE",
        help="the split.csv of the model's run: use only the images of PATH that it lists",
    )
    truth.add_argument(
        "--subset",
        choices=SUBSETS,
        help=f"with --split: which of its images to use (default: {SUBSETS[0]})",
    )
    execution = parser.add_argument_group("execution")
    execution.add_argument("--device", choices=get_args(Device), default="auto")
    execution.add_argument("--batch-size", type=_at_least_one, default=32, metavar="B")
    execution.add_argument(
        "--workers",
        type=_at_least_one,
        default=min(_MOST_WORKERS, available_cpus()),
        metavar="N",
        help="threads that decode images, each with one image in memory "
        "(default: one per CPU, here %(default)s)",
    )
    execution.add_argument(
        "--threads",
        type=_at_least_one,
        metavar="N",
        help="threads of ONNX Runtime on the CPU (default: one per physical core)",
    )
    execution.add_argument("--strict", action="store_true", help="stop at the first bad file")
    execution.add_argument(
        "--benchmark",
        action="store_true",
        help="measure images per second, without writing answers",
    )
    return parser


def output_files(given: argparse.Namespace) -> dict[str, Path]:
    """Return the files to write, by option."""
    files = {"--json": given.json, "--csv": given.csv, "--confusion": given.confusion}
    return {option: path for option, path in files.items() if path is not None}


def check_outputs(outputs: Mapping[str, Path], inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Check that no output replaces an input, with links resolved.

    Args:
        outputs: The files to write, by option.
        inputs: The files to read.

    Raises:
        ValueError: An output is also an input.
    """
    option_of = {os.path.realpath(path): option for option, path in outputs.items()}
    for path in inputs if option_of else ():
        if (option := option_of.get(os.path.realpath(path))) is not None:
            raise ValueError(
                f"{option} would replace {os.fspath(path)!r}, which is an input. Give another "
                f"file as {option}."
            )


def _check_together(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Exit with an error if options are incompatible."""
    outputs = output_files(given)
    if len({os.path.realpath(path) for path in outputs.values()}) < len(outputs):
        parser.error(f"{', '.join(outputs)} must be different files.")
    inputs = [given.model]
    inputs += [given.split, given.split / SPLIT_FILE] if given.split is not None else []
    try:
        check_outputs(outputs, inputs)
    except ValueError as error:
        parser.error(str(error))
    if given.benchmark and (outputs or given.overlay is not None):
        unwanted = [*outputs, *(["--overlay"] if given.overlay is not None else [])]
        parser.error(f"--benchmark writes no answers. Omit {', '.join(unwanted)}.")
    if given.split is None and given.subset is not None:
        parser.error("--subset needs --split FILE.")
    if given.split is not None and given.labelled is not None:
        parser.error("--split gives the true classes. Omit --labelled and --no-labelled.")


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0.0 <= number <= 1.0:
        raise argparse.ArgumentTypeError(f"must be a number in [0, 1]. Received: {text!r}")
    return number


def _at_least_one(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number >= 1. Received: {text!r}")
    return number
