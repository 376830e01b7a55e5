"""Image decoding and resizing, shared by scanning, training and serving."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 178_956_970
"""Largest image that is decoded, in pixels; also the limit of Pillow itself."""

Inspect = Callable[[Image.Image, BinaryIO], None]
"""Called with a decoded picture, as its file has it, and that file, which it may read."""

# Other formats are excluded: EPS would start Ghostscript, and formats without a signature, such as
# TGA, accept text files as images.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Text that may hold the orientation.
_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_PNG_KEYWORDS = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")

# Errors of Pillow's decoders on damaged files.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
)

# Pillow warns about odd metadata and about sizes below its limit; neither prevents reading a file.
# Set once, because a filter around each call would not be thread-safe.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class UnreadableImageError(ValueError):
    """A file that cannot be used as an image.

    Attributes:
        reason: In a few words, e.g. "empty file" or "truncated".
    """

    def __init__(self, reason: str, *, name: str = "the bytes given") -> None:
        super().__init__(f"Cannot read {name} as an image: {reason}.")
        self.reason = reason


def read_image(
    source: str | os.PathLike[str] | bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    inspect: Inspect | None = None,
) -> NDArray[np.uint8]:
    """Read an image as upright RGB.

    Animations are read as their first frame. Transparent images are composited on white. EXIF
    rotation is applied, colour profiles are not. 16-bit values are divided by 257; floats in [0, 1]
    are multiplied by 255, floats in [0, 255] are rounded; all other integers and floats are scaled
    from their minimum and maximum to [0, 255]. Chunks of a PNG file that do not change the pixels,
    such as a colour profile or text, may be damaged or of any size.

    Args:
        source: A file's path, or its bytes.
        max_pixels: Larger images are refused before decoding. Values above `MAX_PIXELS` have no
            effect.
        inspect: Called once the file is decoded, unless it has damaged chunks to be left out; None:
            nothing is.

    Returns:
        [H, W, 3] uint8; depends only on the bytes.

    Raises:
        UnreadableImageError: The file is empty, not an image, truncated or otherwise damaged, or
            too large; `reason` says which.
        OSError: The file cannot be opened.
    """
    return np.array(_read(source, max_pixels, inspect=inspect))


def read_resized(
    source: str | os.PathLike[str] | bytes,
    size: int | tuple[int, int],
    *,
    max_pixels: int = MAX_PIXELS,
) -> NDArray[np.uint8]:
    """Read an image as upright RGB of a given size, as training and serving see it.

    Equals `resize` of `read_image`, except that a JPEG is decoded at 1/2, 1/4 or 1/8 of its size if
    both sides remain at least twice as long as the longer side asked for, which is several times
    faster for photographs.

    Args:
        source: A file's path, or its bytes.
        size: See `resize`.
        max_pixels: See `read_image`, like the errors.

    Returns:
        [height, width, 3] uint8.
    """
    height, width = _pair(size)
    picture = _read(source, max_pixels, 2 * max(height, width))
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.array(picture)


def resize(image: NDArray[np.uint8], size: int | tuple[int, int]) -> NDArray[np.uint8]:
    """Resize an image: bilinear, with antialiasing when shrinking.

    Args:
        image: [H, W, 3] uint8.
        size: Side of a square, or (height, width), in pixels, >= 1. The aspect ratio is not kept.

    Returns:
        [height, width, 3] uint8; `image` itself if it already has this size.
    """
    height, width = _pair(size)
    if image.shape[:2] == (height, width):
        return image
    picture = Image.fromarray(image)
    return np.array(picture.resize((width, height), Image.Resampling.BILINEAR))


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _read(
    source: str | os.PathLike[str] | bytes,
    max_pixels: int,
    at_least: int | None = None,
    inspect: Inspect | None = None,
) -> Image.Image:
    """Return the picture upright and in mode RGB.

    Args:
        source: See `read_image`, like `max_pixels` and `inspect`.
        max_pixels: Largest number of pixels.
        at_least: Shortest side that a JPEG decoded at a fraction may have; None: full size.
        inspect: Called with the decoded picture; None: nothing is.
    """
    if isinstance(source, bytes):
        return _repaired(io.BytesIO(source), "the bytes given", max_pixels, at_least, inspect)
    with open(source, "rb") as file:
        return _repaired(file, f"{os.fspath(source)!r}", max_pixels, at_least, inspect)


def _repaired(
    file: BinaryIO, name: str, max_pixels: int, at_least: int | None, inspect: Inspect | None
) -> Image.Image:
    """Decode a file; if it is refused, without the chunks that do not change its pixels."""
    try:
        return _decode(file, name, max_pixels, at_least, inspect)
    except UnreadableImageError as error:
        reason = error
        for keeps_text in (True, False):
            file.seek(0)
            without = _without_extras(file.read(), keeps_text)
            if without is None:
                break
            try:
                return _decode(io.BytesIO(without), name, max_pixels, at_least)
            except UnreadableImageError as again:
                reason = again
        raise reason from None


def _without_extras(content: bytes, keeps_text: bool) -> bytes | None:
    """Return a PNG file without the chunks that do not change its pixels; None for other files.

    Pillow refuses files for such a chunk if it is damaged, or large when decompressed.
    """
    if not content.startswith(_PNG_SIGNATURE):
        return None
    kept, at = [_PNG_SIGNATURE], len(_PNG_SIGNATURE)
    while at + 8 <= len(content):
        kind, end = content[at + 4 : at + 8], at + 12 + int.from_bytes(content[at : at + 4])
        if _is_needed(kind, content[at + 8 : end - 4], content[end - 4 : end], keeps_text):
            kept.append(content[at:end])
        at = end
    return b"".join(kept)


def _is_needed(kind: bytes, data: bytes, checksum: bytes, keeps_text: bool) -> bool:
    """Return whether a chunk of a PNG file decides on the pixels or their orientation."""
    is_critical = not kind[0] & 0x20
    if is_critical or kind == b"tRNS":
        return True
    is_text = kind in _PNG_TEXTS and data.startswith(_PNG_KEYWORDS) and keeps_text
    return (kind == b"eXIf" or is_text) and zlib.crc32(kind + data) == int.from_bytes(checksum)


def _decode(
    file: BinaryIO,
    name: str,
    max_pixels: int,
    at_least: int | None,
    inspect: Inspect | None = None,
) -> Image.Image:
    try:
        if not file.read(1):
            raise UnreadableImageError("empty file", name=name)
        file.seek(0)
        with Image.open(file, formats=_known_formats()) as picture:
            _check_size(picture, max_pixels, name)
            if at_least is not None:
                picture.draft(None, (at_least, at_least))
            picture.load()
            upright = _to_rgb(_turned_upright(picture))
            if inspect is not None:
                inspect(picture, file)
            return upright
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError("not an image of a known format", name=name) from error
    except Image.DecompressionBombError as error:
        reason = f"too large: more than {MAX_PIXELS:,} pixels"
        raise UnreadableImageError(reason, name=name) from error
    except _DAMAGED as error:
        message = str(error) or type(error).__name__
        reason = "truncated" if "truncated" in message.lower() else f"damaged: {message}"
        raise UnreadableImageError(reason, name=name) from error


def _known_formats() -> list[str]:
    """Return the formats that this build of Pillow can open."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _check_size(picture: Image.Image, max_pixels: int, name: str) -> None:
    width, height = picture.size
    if not width or not height:
        raise UnreadableImageError(f"no pixels: {width} x {height}", name=name)
    if width * height > max_pixels:
        reason = f"too large: {width} x {height}, more than {max_pixels:,} pixels"
        raise UnreadableImageError(reason, name=name)


def _turned_upright(picture: Image.Image) -> Image.Image:
    """Apply the EXIF orientation, if it can be read."""
    try:
        orientation = picture.getexif().get(_ORIENTATION)
    except _DAMAGED:
        # The pixels can be used even if the metadata are damaged.
        return picture
    if orientation in _UPRIGHT:
        return picture.transpose(_UPRIGHT[orientation])
    return picture


def _to_rgb(picture: Image.Image) -> Image.Image:
    """Convert a picture of any mode to RGB."""
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray(_sixteen_to_eight_bits(np.asarray(picture)))
    elif picture.mode in ("I", "F"):
        picture = Image.fromarray(_scaled_to_eight_bits(np.asarray(picture)))
    elif "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        layer = picture.convert("RGBA")
        page = Image.new("RGBA", layer.size, "white")
        picture = Image.alpha_composite(page, layer)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _scaled_to_eight_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("its pixels contain NaN or infinity")
    is_float = values.dtype.kind == "f"
    if not is_float and low >= 0 and high <= 65535:
        return _sixteen_to_eight_bits(values)
    scaled = values.astype(np.float64)
    if is_float and low >= 0 and high <= 1:
        scaled *= 255
    elif not is_float or low < 0 or high > 255:
        scaled = (scaled - low) * (255 / (high - low)) if high > low else np.zeros_like(scaled)
    return np.rint(scaled).astype(np.uint8)


def _sixteen_to_eight_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale values in [0, 65535] to [0, 255], rounded: 65535 is 255 * 257."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
