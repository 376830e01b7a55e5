"""A reader of protobuf text, such as Triton's `config.pbtxt`, without its definition."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TypeAlias

Message: TypeAlias = "list[tuple[str, str | Message]]"
"""Fields in order, by name; strings without quotes. A list is several fields of one name."""

_TOKEN = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*)|(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"""|(?P<mark>[{}\[\]<>:,;])|(?P<word>[^\s{}\[\]<>:,;"'\#]+)"""
)
_CLOSING = {"{": "}", "<": ">"}


def parse_protobuf_text(text: str) -> Message:
    """Return the fields of a message.

    Raises:
        ValueError: It is not protobuf text.
    """
    tokens = [*_tokens(text), ""]
    message, at = _message(tokens, 0, "")
    if at != len(tokens):
        raise ValueError(f"{tokens[at - 1]!r} is unexpected")
    return message


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"a string is not closed at character {at}")
        if match.lastgroup != "skip":
            yield match[0]
        at = match.end()


def _message(tokens: list[str], at: int, end: str) -> tuple[Message, int]:
    """Return the fields up to `end`, and the place after it."""
    fields: Message = []
    while (name := tokens[at]) != end:
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ValueError(f"a field's name is expected. Received: {name or 'the end'!r}")
        at += 2 if tokens[at + 1] == ":" else 1
        if tokens[at] == "[":
            at += 1
            while tokens[at] != "]":
                value, at = _value(tokens, at)
                fields.append((name, value))
                at += tokens[at] == ","
            at += 1
        else:
            value, at = _value(tokens, at)
            fields.append((name, value))
        at += tokens[at] in (",", ";")
    return fields, at + 1


def _value(tokens: list[str], at: int) -> tuple[str | Message, int]:
    token = tokens[at]
    if token in _CLOSING:
        return _message(tokens, at + 1, _CLOSING[token])
    if token[:1] in ("'", '"'):
        parts = []
        # Adjacent strings are one.
        while tokens[at][:1] in ("'", '"'):
            parts.append(str(ast.literal_eval(tokens[at])))
            at += 1
        return "".join(parts), at
    if token in ("", "}", "]", ">", ":", ",", ";", "["):
        raise ValueError(f"a value is expected. Received: {token or 'the end'!r}")
    return token, at + 1
