"""Imports TensorFlow without its start-up lines, which are not for users of a command."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_NOISE = re.compile(rb"(WARNING: All log messages before absl|[IW]\d{4} \d)")
_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def add_verbose_option(parser: argparse._ActionsContainer) -> None:
    """Add `--verbose`, which `start_quietly` looks for."""
    parser.add_argument(
        "--verbose", action="store_true", help="print TensorFlow's start-up lines too"
    )


def start_quietly(arguments: Sequence[str] | None = None) -> None:
    """Import TensorFlow, and drop the information and warnings that it prints on import.

    Everything else that is printed meanwhile is passed on. Does nothing with `--verbose`, or where
    TensorFlow is imported or missing.

    Args:
        arguments: The command line; None: that of this process.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if "--verbose" in words or "tensorflow" in sys.modules:
        return
    # Level 3 also hides the errors of a missing GPU, which matter only where there is a driver.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if _NVIDIA_DRIVER.exists() else "3")
    sys.stderr.flush()
    # TensorFlow writes to the file descriptor before its log level is read.
    original = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        except ModuleNotFoundError as error:
            if error.name != "tensorflow":
                raise
        finally:
            os.dup2(original, 2)
            os.close(original)
            captured.seek(0)
            for line in captured:
                if not _NOISE.match(line):
                    os.write(2, line)
