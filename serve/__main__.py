"""`python -m serve`: says what there is."""

from __future__ import annotations

import sys

_USAGE = """\
usage: python -m serve.predict FILE.onnx PATH...   classes of image files, and heatmaps over them
       python -m serve.server FILE.onnx...         the same over HTTP
Each tells its options by --help. FILE.onnx is what `python -m export` writes."""


def main() -> int:
    """Prints what there is, and returns the exit code of a command that lacks its arguments."""
    print(_USAGE, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
