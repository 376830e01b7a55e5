"""KeyValue: the action of a repeatable option `--option KEY=VALUE`."""

from __future__ import annotations

import argparse
import ast
from typing import Any


class KeyValue(argparse.Action):
    """Action that collects repeated `--option KEY=VALUE` options in one dictionary.

    Values are Python literals (3, 0.5, True, (0, 1)); anything else is text.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add one pair; see `argparse.Action`."""
        key, found, text = str(values).partition("=")
        if not found or not key.isidentifier():
            parser.error(f"{option_string} takes KEY=VALUE, e.g. samples=50. Received: {values!r}")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text
        # JSON has no tuples: a list stays equal after saving and loading.
        value = list(value) if isinstance(value, tuple) else value
        collected = dict(getattr(namespace, self.dest, None) or {})
        collected[key] = value
        setattr(namespace, self.dest, collected)
