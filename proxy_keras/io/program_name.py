"""The name that a command shows in its usage."""

from __future__ import annotations

import sys


def program_name(module: str) -> str:
    """Return `proxy-keras COMMAND` if that script runs the command, else `python -m module`."""
    return sys.argv[0] if sys.argv[0].startswith("proxy-keras ") else f"python -m {module}"
