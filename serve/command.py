"""What the commands share: the name in their usage, and the error for a missing package."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


def program_name(module: str) -> str:
    """Return `proxy-keras COMMAND` if that script runs the command, else `python -m module`."""
    return sys.argv[0] if sys.argv[0].startswith("proxy-keras ") else f"python -m {module}"


@contextmanager
def needs_packages(module: str) -> Iterator[None]:
    """Guard the imports of a command; when it runs, print what is missing and exit with 2.

    Args:
        module: `__name__` of the command's module.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "serve").partition(".")[0]
        if module != "__main__" or package == "serve":
            raise
        print(
            f"error: `{package}` needs `pip install proxy-attention-keras[serve]`, or, without "
            "TensorFlow, `pip install -r requirements-serve.txt`",
            file=sys.stderr,
        )
        raise SystemExit(2) from None
