"""KeyValue: an option `--option KEY=VALUE` that can be repeated."""

from __future__ import annotations

import argparse
import ast
from typing import Any


class KeyValue(argparse.Action):
    """Collects `--option KEY=VALUE`, given any number of times, in one dictionary.

    Values are read as Python writes them (3, 0.5, True, (0, 1)); all else is text.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Adds one pair; see `argparse.Action`."""
        key, found, text = str(values).partition("=")
        if not found or not key.isidentifier():
            parser.error(f"{option_string} takes KEY=VALUE, e.g. samples=50. Received: {values!r}")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text
        # As JSON will give it back, so that a saved option equals the one given.
        value = list(value) if isinstance(value, tuple) else value
        collected = dict(getattr(namespace, self.dest, None) or {})
        collected[key] = value
        setattr(namespace, self.dest, collected)
