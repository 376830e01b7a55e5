"""Extraction of the file from a multipart form."""

from __future__ import annotations

import math
import re

from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, parse_options_header

MAX_PARTS = 32

_EXTENDED_NAME = re.compile(rb"(?i)\ncontent-disposition:[^\n]*;\s*filename\*\s*=")


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
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise FormError("A multipart form needs a boundary in the Content-Type header.")
    parts: list[Field | File] = []
    ends: list[bool] = []

    def add(part: Field | File) -> None:
        if len(parts) == MAX_PARTS:
            raise FormError(f"A form may have at most {MAX_PARTS} parts.")
        parts.append(part)

    try:
        parser = FormParser(
            kind.decode("latin-1"),
            add,
            add,
            on_end=lambda: ends.append(True),
            boundary=boundary,
            # Files stay in memory, where the body is already.
            config={"MAX_MEMORY_FILE_SIZE": math.inf},
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise FormError(f"The multipart form is malformed: {error}") from error
    if not ends:
        raise FormError("The multipart form is malformed: its end is missing.")
    files = [part.file_object for part in parts if isinstance(part, File)]
    if not files and _EXTENDED_NAME.search(body):
        raise FormError(
            "The form's file has only a `filename*`, which RFC 7578 does not allow in forms. Name "
            'it with filename="cat.jpg".'
        )
    if len(files) != 1:
        raise FormError(
            f"The form must have one file, e.g. curl -F file=@cat.jpg. It has {len(files)}."
        )
    files[0].seek(0)
    return files[0].read()
