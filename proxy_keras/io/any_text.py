"""Output of any text, whatever the encoding of the terminal or file it goes to."""

from __future__ import annotations

import io
import sys


def allow_any_text() -> None:
    r"""Escape what the standard output cannot encode, such as "\xf1", instead of failing.

    A name of a class or folder would otherwise end a command after its work.
    """
    for stream in (sys.stdout, sys.stderr):
        # A caller may have put another object in its place.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
