"""Ordinary image files: those that TensorFlow's own operations decode like Pillow."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from PIL import Image

MAX_ORDINARY_PIXELS = 100_000_000
"""Images of more pixels are not ordinary: TensorFlow refuses some that Pillow decodes."""

_ORIENTATION = 0x0112
_UPRIGHT = (None, 1)

# Frame headers of JPEG files: baseline, extended and progressive, with Huffman coding. Others are
# rare, and depend on how a decoder was built.
_JPEG_FRAMES = (0xC0, 0xC1, 0xC2)
_JPEG_ALL_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))

_PNG_SIGNATURE_SIZE, _PNG_DEPTH_AT = 8, 24


def is_ordinary(picture: Image.Image, file: BinaryIO) -> bool:
    """Return whether TensorFlow's operations give the pixels that `images.read_image` gives.

    These are `tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")`, which also
    decodes PNG. Ordinary are JPEG files, grey or in colour, and PNG files of 8 bits without
    transparency or animation; all of them upright and of at most `MAX_ORDINARY_PIXELS`. When in
    doubt, a file is not ordinary. Formats that are not compressed are not ordinary: reading them
    faster gains little.

    Args:
        picture: The decoded picture, as Pillow opened it: not converted, and not turned upright.
        file: Its file, which must have been decoded as it is, without any repair.
    """
    width, height = picture.size
    is_plain = width * height <= MAX_ORDINARY_PIXELS and "transparency" not in picture.info
    if not is_plain or picture.getexif().get(_ORIENTATION) not in _UPRIGHT:
        return False
    if picture.format in ("JPEG", "MPO"):
        return picture.mode in ("RGB", "L") and _jpeg_frame(file) in _JPEG_FRAMES
    return picture.format == "PNG" and _is_ordinary_png(picture, file)


def _jpeg_frame(file: BinaryIO) -> int | None:
    """Return the marker of the frame header of a JPEG file; None if it is not found."""
    file.seek(2)
    while file.read(1) == b"\xff":
        while (marker := file.read(1)) == b"\xff":
            pass
        if not marker or marker[0] in _JPEG_ALL_FRAMES:
            return marker[0] if marker else None
        if marker[0] not in _JPEG_WITHOUT_LENGTH:
            file.seek(int.from_bytes(file.read(2)) - 2, 1)
    return None


def _is_ordinary_png(picture: Image.Image, file: BinaryIO) -> bool:
    if picture.mode not in ("RGB", "L", "P") or getattr(picture, "is_animated", False):
        return False
    if picture.mode == "P":
        # Pixels beyond the palette are black for one decoder, and grey for the other.
        colours = len(picture.getpalette() or ()) // 3
        if any(picture.histogram()[colours:]):
            return False
    file.seek(_PNG_DEPTH_AT)
    return file.read(1) == b"\x08" and _is_sound_png(file)


def _is_sound_png(file: BinaryIO) -> bool:
    """Return whether all chunks up to the last are complete, which Pillow does not ask for."""
    file.seek(_PNG_SIGNATURE_SIZE)
    while len(start := file.read(8)) == 8:
        content, checksum = file.read(int.from_bytes(start[:4])), file.read(4)
        if zlib.crc32(content, zlib.crc32(start[4:])) != int.from_bytes(checksum):
            return False
        if start[4:] == b"IEND":
            return True
    return False
