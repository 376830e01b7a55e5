"""Extraction of the file from a multipart form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

if TYPE_CHECKING:
    # It does not exist at run time.
    from python_multipart.multipart import MultipartCallbacks

MAX_PARTS = 32


class FormError(ValueError):
    """A form that is malformed or does not have exactly one file."""


def file_of_form(body: bytes, content_type: str) -> bytes:
    """Return the content of the only file in a form; other fields are ignored.

    Args:
        body: The form.
        content_type: The Content-Type header: multipart/form-data; boundary=...

    Raises:
        FormError: The form is malformed, has more than 32 parts, or not exactly one file.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise FormError("A multipart form needs a boundary in the Content-Type header.")
    reader = _Reader()
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise FormError(f"The multipart form is malformed: {error}") from error
    if not reader.is_complete:
        raise FormError("The multipart form is malformed: its end is missing.")
    if len(reader.files) != 1:
        raise FormError(
            f"The form must have one file, e.g. curl -F file=@cat.jpg. It has {len(reader.files)}."
        )
    return b"".join(reader.files[0])


class _Reader:
    """A collector of the files of a form, from the parser's callbacks.

    Attributes:
        files: The chunks of each file.
        is_complete: Whether the closing boundary was received.
    """

    def __init__(self) -> None:
        self.files: list[list[bytes]] = []
        self.is_complete = False
        self._parts = 0
        self._is_file = False
        self._header = bytearray()
        self._value = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        """Return the callbacks for `MultipartParser`."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": self._add_data,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise FormError(f"A form may have at most {MAX_PARTS} parts.")
        self._is_file = False

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            if b"filename" in options and not self._is_file:
                self._is_file = True
                self.files.append([])
        self._header.clear()
        self._value.clear()

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.files[-1].append(data[start:end])

    def _end(self) -> None:
        self.is_complete = True
