"""The options of `python -m serve.predict`, and which of them go together."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from serve.cpus import available_cpus
from serve.session import Device
from serve.split_file import SPLIT_FILE, SUBSETS

_MOST_WORKERS = 16


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options given; ends the program with exit code 2 if they are none or do not go together.

    Args:
        arguments: The words of the command line; None: those of this process.
    """
    parser = build_parser()
    given = parser.parse_args(arguments)
    _check_together(parser, given)
    return given


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m serve.predict",
        description="Says what an exported model sees in images. Given one folder ROOT/CLASS/* "
        "whose sub-folders bear the names of the model's classes, says too how often it is right.",
        epilog="Exit code: 0 done; 1 done, but some files could not be used (each is named on "
        "stderr, in --json and in --csv); 2 bad arguments, data or model, or with --strict a bad "
        "file: then no file is written but overlays; 130 interrupted.",
    )
    parser.add_argument("model", metavar="FILE.onnx", help="what `python -m export` wrote")
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help='images, folders (with all folders in them), or globs, e.g. "photos/**/*.jpg"',
    )
    parser.add_argument(
        "--top-k",
        type=_at_least_one,
        default=3,
        metavar="N",
        help="classes to name for each image (default: %(default)s)",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--json", type=Path, metavar="FILE", help="write answers and scores here")
    output.add_argument("--csv", type=Path, metavar="FILE", help="write a row per image here")
    output.add_argument(
        "--overlay",
        type=Path,
        metavar="DIR",
        help="write each image with the heatmap of its class over it here, as PNG",
    )
    output.add_argument(
        "--confusion", type=Path, metavar="FILE", help="write the confusion matrix here, as CSV"
    )
    output.add_argument("--quiet", action="store_true", help="no table and no progress bar")
    truth = parser.add_argument_group("true classes")
    truth.add_argument(
        "--labelled",
        action=argparse.BooleanOptionalAction,
        help="read the folder as ROOT/CLASS/* even if it holds other things, or do not "
        "(default: if all its sub-folders are called like classes)",
    )
    truth.add_argument(
        "--split",
        type=Path,
        metavar="FILE",
        help="the split.csv of the model's run: take the images of PATH that it lists",
    )
    truth.add_argument(
        "--subset",
        choices=SUBSETS,
        help=f"with --split: which of its images (default: {SUBSETS[0]})",
    )
    work = parser.add_argument_group("work")
    work.add_argument("--device", choices=get_args(Device), default="auto")
    work.add_argument("--batch-size", type=_at_least_one, default=32, metavar="B")
    work.add_argument(
        "--workers",
        type=_at_least_one,
        default=min(_MOST_WORKERS, available_cpus()),
        metavar="N",
        help="threads that decode images, each holding one in memory "
        "(default: one per CPU, here %(default)s)",
    )
    work.add_argument(
        "--threads",
        type=_at_least_one,
        metavar="N",
        help="threads of ONNX Runtime on the CPU (default: one per physical core)",
    )
    work.add_argument("--strict", action="store_true", help="a file that is no image is an error")
    work.add_argument(
        "--benchmark", action="store_true", help="measure images a second, and write no answers"
    )
    return parser


def output_files(given: argparse.Namespace) -> dict[str, Path]:
    """The files to write, by their options."""
    files = {"--json": given.json, "--csv": given.csv, "--confusion": given.confusion}
    return {option: path for option, path in files.items() if path is not None}


def check_outputs(outputs: Mapping[str, Path], inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Checks that no file to write is one that is read, by whatever name.

    Args:
        outputs: The files to write, by their options.
        inputs: The files that are read.

    Raises:
        ValueError: One is.
    """
    places = {os.path.realpath(path): option for option, path in outputs.items()}
    for path in inputs if places else ():
        if (option := places.get(os.path.realpath(path))) is not None:
            raise ValueError(
                f"{option} would replace {os.fspath(path)!r}, which is to be read. Give another "
                f"file as {option}."
            )


def _check_together(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Ends the program if options do not go together."""
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
        parser.error(f"--benchmark writes no answers. Leave out {', '.join(unwanted)}.")
    if given.split is None and given.subset is not None:
        parser.error("--subset chooses among the images of --split FILE. Give that too.")
    if given.split is not None and given.labelled is not None:
        parser.error("--split tells the true classes. Leave out --labelled and --no-labelled.")


def _at_least_one(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number >= 1. Received: {text!r}")
    return number
