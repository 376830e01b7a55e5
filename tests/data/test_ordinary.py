"""Where a file is called ordinary, TensorFlow's operations decode it exactly like Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from proxy_keras.data import ordinary
from proxy_keras.data.images import UnreadableImageError, read_image
from proxy_keras.data.ordinary import is_ordinary

SIZES = ((1, 1), (7, 5), (16, 16), (33, 47))


def examined(content: bytes) -> tuple[np.ndarray, bool]:
    """Return the pixels that Pillow gives, and whether the file is ordinary."""
    found = []
    image = read_image(
        content, inspect=lambda picture, file: found.append(is_ordinary(picture, file))
    )
    return image, found == [True]


def by_tensorflow(content: bytes) -> np.ndarray:
    return tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE").numpy()


def check_same(content: bytes, expected: bool) -> None:
    image, found = examined(content)
    assert found == expected
    if found:
        assert np.array_equal(by_tensorflow(content), image)


def picture(height: int, width: int, mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[:height, :width]
    smooth = [127 + 120 * np.sin(x / 7 + y / 11), 127 + 120 * np.cos(x / 5), 255 * y / height]
    noise = np.random.default_rng(0).normal(0, 12, (height, width, 3))
    image = np.clip(np.stack(smooth, -1) + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(image).convert(mode)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("is_progressive", [False, True])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [10, 90])
def test_jpeg_in_colour(size, is_progressive, subsampling, quality):
    options = {"progressive": is_progressive, "subsampling": subsampling, "quality": quality}
    check_same(saved(picture(*size), "JPEG", **options), True)


@pytest.mark.parametrize(
    ("mode", "options", "expected"),
    [
        ("L", {}, True),
        ("L", {"progressive": True}, True),
        ("RGB", {"restart_marker_blocks": 1}, True),
        ("RGB", {"keep_rgb": True}, True),
        ("RGB", {"optimize": True, "comment": b"x" * 60_000}, True),
        ("CMYK", {}, False),
    ],
)
def test_other_jpeg_files(mode, options, expected):
    check_same(saved(picture(33, 47, mode), "JPEG", **options), expected)


@pytest.mark.parametrize(("orientation", "expected"), [(1, True), (0, False), (6, False)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_images_that_are_turned_are_not_ordinary(orientation, expected, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    check_same(saved(picture(8, 12), kind, exif=exif), expected)


def test_the_first_photograph_of_a_file_with_two():
    second = picture(20, 30)
    check_same(saved(picture(33, 47), "MPO", save_all=True, append_images=[second]), True)


@pytest.mark.parametrize("frame", [0xC3, 0xC5, 0xC9, 0xCA, 0xCF])
def test_jpeg_files_of_other_codings_are_not_ordinary(frame):
    image = Image.open(io.BytesIO(saved(picture(8, 8), "JPEG")))
    content = saved(picture(8, 8), "JPEG")
    at = content.index(b"\xff\xc0")
    other = io.BytesIO(content[: at + 1] + bytes([frame]) + content[at + 2 :])
    assert is_ordinary(image, io.BytesIO(content))
    assert not is_ordinary(image, other)
    assert not is_ordinary(image, io.BytesIO(content[:at]))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("mode", "expected"), [("RGB", True), ("L", True), ("1", False), ("RGBA", False), ("LA", False)]
)
def test_png(size, mode, expected):
    check_same(saved(picture(*size, mode), "PNG"), expected)


@pytest.mark.parametrize(("colours", "expected"), [(256, True), (200, True), (16, False)])
def test_png_with_a_palette(colours, expected):
    content = saved(picture(33, 47).quantize(colours), "PNG")
    assert (content[24] == 8) == expected
    check_same(content, expected)


def test_png_of_sixteen_bits_is_not_ordinary():
    grey = np.random.default_rng(0).integers(0, 65536, (7, 5), dtype=np.uint16)
    check_same(saved(Image.fromarray(grey), "PNG"), False)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + checksum(kind + content)


def checksum(content: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(content))


def png(rows: bytes, *, before: bytes = b"", colour: int = 2, interlaced: int = 0) -> bytes:
    """Return a PNG file of 8 bits, 7 pixels wide and 9 high."""
    header = struct.pack(">IIBBBBB", 7, 9, 8, colour, 0, 0, interlaced)
    parts = [(b"IHDR", header), before, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = [part if isinstance(part, bytes) else chunk(*part) for part in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


PIXELS = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)


def in_rows(pixels: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in pixels)


GAMMA = chunk(b"gAMA", struct.pack(">I", 45455))


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (GAMMA, True),
        (chunk(b"sBIT", b"\5\6\5"), True),
        (chunk(b"bKGD", bytes(6)), True),
        (chunk(b"PLTE", b"\1\2\3" * 4), True),
        (chunk(b"iCCP", b"x\0\0garbage"), True),
        (chunk(b"tRNS", bytes(6)), False),
        (GAMMA[:-1] + b"\0", False),
    ],
    ids=["gamma", "bits", "background", "suggested palette", "profile", "transparent", "damaged"],
)
def test_png_with_further_chunks(before, expected):
    check_same(png(in_rows(PIXELS), before=before), expected)


def test_interlaced_png():
    starts = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    passes = [PIXELS[y::dy, x::dx] for y, x, dy, dx in (*starts, (1, 0, 2, 1))]
    rows = b"".join(in_rows(part) for part in passes if part.size)
    check_same(png(rows, interlaced=1), True)


@pytest.mark.parametrize(("entries", "expected"), [(256, True), (201, True), (200, False)])
def test_pixels_beyond_the_palette(entries, expected):
    pixels = np.arange(63).reshape(9, 7, 1).astype(np.uint8)
    pixels[4, 4] = 200
    palette = chunk(b"PLTE", np.random.default_rng(0).bytes(3 * entries))
    check_same(png(in_rows(pixels), before=palette, colour=3), expected)


def test_png_without_its_end_is_not_ordinary():
    content = png(in_rows(PIXELS))
    check_same(content + b"more", True)
    check_same(content[:-12], False)


def test_animated_png_is_not_ordinary():
    images = [picture(9, 7), picture(9, 7).transpose(Image.Transpose.ROTATE_180)]
    check_same(saved(images[0], "PNG", save_all=True, append_images=images[1:]), False)


@pytest.mark.parametrize("kind", ["BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000"])
def test_other_formats_are_not_ordinary(kind):
    check_same(saved(picture(16, 16), kind), False)


def test_large_images_are_not_ordinary(monkeypatch):
    content = saved(picture(10, 10), "JPEG")
    monkeypatch.setattr(ordinary, "MAX_ORDINARY_PIXELS", 99)
    check_same(content, False)
    monkeypatch.setattr(ordinary, "MAX_ORDINARY_PIXELS", 100)
    check_same(content, True)


SOUND = {
    "baseline": saved(picture(9, 7), "JPEG"),
    "grey": saved(picture(9, 7, "L"), "JPEG"),
    "png": saved(picture(9, 7), "PNG"),
    "palette": saved(picture(9, 7).quantize(256), "PNG"),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SOUND)), st.data())
def test_damage_never_gives_other_pixels(name, data):
    content = bytearray(SOUND[name])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        image, is_usable = examined(bytes(content))
    except UnreadableImageError:
        return
    if is_usable:
        try:
            again = by_tensorflow(bytes(content))
        except tf.errors.InvalidArgumentError:
            # An error, which a reader can answer; other pixels could not be noticed.
            return
        assert np.array_equal(again, image)


def files_of(folder: Path, count: int) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
    return found[:: max(1, len(found) // count)]


@pytest.mark.parametrize("name", ["asl_digits", "imagewoof_sub", "isic_patches", "pets3_masks"])
def test_real_files(shared_data, name):
    files = files_of(shared_data / name, 60)
    assert len(files) >= 60
    for path in files:
        check_same(path.read_bytes(), True)
