"""`python -m serve`: lists the package's commands."""

from __future__ import annotations

import sys

_USAGE = """\
usage: python -m serve.predict FILE.onnx PATH...   classes and heatmaps of image files
       python -m serve.server FILE.onnx...         the same over HTTP
Each command lists its options with --help. FILE.onnx is written by `python -m export`."""


def main() -> int:
    """Print the usage, and return the exit code for missing arguments."""
    print(_USAGE, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
