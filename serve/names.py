"""Names of files and classes as text that can be written, printed and compared."""

from __future__ import annotations

import os
import unicodedata


def printable(name: str | os.PathLike[str]) -> str:
    """Return a name with each byte that is not UTF-8 written as `%F1`.

    Python keeps such bytes of file names as surrogates, which no file, figure or terminal takes.
    """
    return "".join(
        f"%{ord(character) - 0xDC00:02X}" if 0xDC80 <= ord(character) <= 0xDCFF else character
        for character in os.fspath(name)
    )


def canonical(name: str) -> str:
    """Return a printable name in one Unicode normal form (NFC), for comparisons.

    A copy made on a Mac may have an accent as a character of its own (NFD).
    """
    return unicodedata.normalize("NFC", printable(name))
