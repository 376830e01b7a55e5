"""`proxy-keras COMMAND`: every command of the project under one name."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

from proxy_keras.io.any_text import allow_any_text
from proxy_keras.io.extras import MissingExtra, extra
from proxy_keras.io.quiet_start import start_quietly


class Command(NamedTuple):
    """A command.

    Attributes:
        module: The module whose `main(arguments)` runs it. A name, because the library imports
            neither `tuner` nor `export` nor `serve`.
        extra: The extra that installs what it needs.
        summary: What it does, for `--help`.
        imports_tensorflow: Whether importing the module imports TensorFlow.
    """

    module: str
    extra: str
    summary: str
    imports_tensorflow: bool = False


COMMANDS: dict[str, Command] = {
    "train": Command("proxy_keras.train", "train", "train a classifier with Proxy Attention"),
    "explain": Command(
        "proxy_keras.explaining.image_files", "explain", "draw heatmaps over image files", True
    ),
    "evaluate": Command("proxy_keras.evaluate", "evaluate", "write a report on a trained model"),
    "cues": Command(
        "proxy_keras.ticking.command", "cues", "see what a classifier looks at, and tick it"
    ),
    "watch": Command("proxy_keras.watch", "train", "follow a training run in the browser"),
    "search": Command("tuner.search", "tuner", "search for the best settings"),
    "study": Command("tuner.study", "tuner", "compare recipes with seeds, controls and statistics"),
    "aggregate": Command("tuner.aggregate", "tuner", "put all runs into one table"),
    "export": Command("export.__main__", "export", "write a trained model as one ONNX file", True),
    "predict": Command("serve.predict", "serve", "classify image files with an ONNX file"),
    "serve": Command("serve.server", "serve", "serve ONNX files over HTTP"),
    "demo": Command("proxy_keras.demo", "all", "train, explain, export and predict, on digits"),
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command's name, which leaves the command's own options alone."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog="proxy-keras",
        usage="%(prog)s COMMAND ...",
        description="Proxy Attention for Keras 3.",
        epilog="\n".join(
            ["commands:", *lines, "", "`proxy-keras COMMAND --help` lists the options of one."]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, help=argparse.SUPPRESS)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code; 2 if a package that it needs is missing."""
    allow_any_text()
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    name = build_parser().parse_args(arguments[:1]).command
    # The command shows it as its name; see `program_name`.
    sys.argv = [f"proxy-keras {name}", *arguments[1:]]
    if COMMANDS[name].imports_tensorflow:
        start_quietly(arguments)
    try:
        with extra(COMMANDS[name].extra):
            module = importlib.import_module(COMMANDS[name].module)
    except MissingExtra as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return int(module.main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main())
