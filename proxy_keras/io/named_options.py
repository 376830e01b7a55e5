"""The text form of a name with options, such as "mixup:alpha=0.4,probability=0.5"."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any

_OUTER_COMMA = re.compile(r",(?![^(\[]*[)\]])")
"""A comma outside brackets."""


def split_commas(text: str) -> list[str]:
    """Split text at commas outside brackets, and drop empty parts."""
    return [part.strip() for part in _OUTER_COMMA.split(text) if part.strip()]


def parse_named(text: str, what: str) -> tuple[str, dict[str, Any]]:
    """Parse "NAME:KEY=VALUE,..." into the name and its options.

    Values are Python literals, such as (0.02, 0.4); anything else is text.

    Args:
        text: The text.
        what: What has the name, such as "an augmentation", for the error message.

    Raises:
        ValueError: An option is not KEY=VALUE.
    """
    name, _, rest = text.partition(":")
    options = {}
    for part in split_commas(rest):
        key, found, value = part.partition("=")
        if not found:
            raise ValueError(f"Options of {what} are KEY=VALUE. Received: {part!r}")
        options[key.strip()] = _parse_value(value.strip())
    return name.strip(), options


def format_named(name: str, options: Iterable[tuple[str, Any]]) -> str:
    """Return the text that `parse_named` parses, with values as Python writes them."""
    pairs = ",".join(f"{key}={_format_value(value)}" for key, value in options)
    return f"{name}:{pairs}" if pairs else name


def _parse_value(text: str) -> Any:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    # Tuples keep the options hashable.
    return tuple(value) if isinstance(value, list) else value


def _format_value(value: Any) -> str:
    return value if isinstance(value, str) and _parse_value(value) == value else repr(value)
