"""Every common kind of image file is read as upright RGB, or refused with a reason."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from proxy_keras.data.images import (
    MAX_PIXELS,
    UnreadableImageError,
    read_image,
    read_resized,
    resize,
)

RED, WHITE = [255, 0, 0], [255, 255, 255]


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def photograph(side: int = 64) -> Image.Image:
    ramp = np.linspace(0, 255, side)
    red, green = np.meshgrid(ramp, ramp)
    return Image.fromarray(np.stack([red, green, 255 - red], -1).astype(np.uint8))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds almost no pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    header = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 99) + b"IDAT" + zlib.compress(b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "PPM"])
def test_lossless_files_give_the_pixels(kind):
    picture = Image.new("RGB", (3, 2), "red")
    picture.putpixel((0, 1), (0, 0, 255))
    pixels = read_image(encoded(picture, kind))
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [[RED, RED, RED], [[0, 0, 255], RED, RED]]


def test_lossless_webp_gives_the_pixels():
    assert np.array_equal(
        read_image(encoded(photograph(), "WEBP", lossless=True)), np.asarray(photograph())
    )


def test_transparent_pixels_show_white():
    picture = Image.new("RGBA", (3, 1), (255, 0, 0, 255))
    picture.putpixel((1, 0), (0, 255, 0, 0))
    picture.putpixel((2, 0), (0, 0, 0, 128))
    assert read_image(encoded(picture, "PNG")).tolist() == [[RED, WHITE, [127, 127, 127]]]


def test_grey_with_alpha():
    picture = Image.new("LA", (2, 1), (100, 255))
    picture.putpixel((1, 0), (100, 0))
    assert read_image(encoded(picture, "PNG")).tolist() == [[[100] * 3, WHITE]]


def test_grey():
    assert read_image(encoded(Image.new("L", (1, 1), 7), "PNG")).tolist() == [[[7, 7, 7]]]


def test_one_bit():
    picture = Image.new("1", (2, 1), 0)
    picture.putpixel((1, 0), 1)
    assert read_image(encoded(picture, "PNG")).tolist() == [[[0, 0, 0], WHITE]]


@pytest.mark.parametrize("transparency", [1, b"\xff\x00"])
def test_palette_and_its_transparency(transparency):
    picture = Image.new("P", (2, 1), 0)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((1, 0), 1)
    assert read_image(encoded(picture, "PNG")).tolist() == [[RED, [0, 0, 255]]]
    with_hole = encoded(picture, "PNG", transparency=transparency)
    assert read_image(with_hole).tolist() == [[RED, WHITE]]


def test_cmyk_jpeg():
    pixels = read_image(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95))
    assert np.abs(pixels.astype(int) - RED).max() <= 8


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_divided_not_cut_off(kind):
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    pixels = read_image(encoded(Image.fromarray(values), kind))
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 2.4, 200.0], [0, 2, 200]),
        ([-1, 0, 3], [0, 64, 255]),
    ],
)
def test_float_tiff(values, expected):
    picture = Image.fromarray(np.array([values], np.float32))
    assert read_image(encoded(picture, "TIFF"))[0, :, 0].tolist() == expected


def test_float_tiff_with_nan_is_refused():
    picture = Image.fromarray(np.array([[0.0, np.nan]], np.float32))
    with pytest.raises(UnreadableImageError, match="NaN"):
        read_image(encoded(picture, "TIFF"))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [[0, 1, 2], [3, 4, 5]]),
        (2, [[2, 1, 0], [5, 4, 3]]),
        (3, [[5, 4, 3], [2, 1, 0]]),
        (4, [[3, 4, 5], [0, 1, 2]]),
        (5, [[0, 3], [1, 4], [2, 5]]),
        (6, [[3, 0], [4, 1], [5, 2]]),
        (7, [[5, 2], [4, 1], [3, 0]]),
        (8, [[2, 5], [1, 4], [0, 3]]),
    ],
)
def test_exif_rotation(kind, orientation, expected):
    picture = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    assert read_image(encoded(picture, kind, exif=exif, **options))[..., 0].tolist() == expected


def test_rotated_jpeg_is_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = photograph().resize((64, 32))
    path = tmp_path / "phone.jpg"
    picture.save(path, exif=exif, quality=95)
    upright = np.asarray(picture.transpose(Image.Transpose.ROTATE_270)).astype(int)
    assert np.abs(read_image(path) - upright).mean() < 3


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "green")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(content)).n_frames == 3
    assert read_image(content)[0, 0].tolist() == RED


@pytest.mark.parametrize("at", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_truncated(kind, at):
    content = encoded(Image.effect_noise((64, 64), 80), kind)
    with pytest.raises(UnreadableImageError) as caught:
        read_image(content[: int(len(content) * at)])
    assert caught.value.reason == "truncated"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"this is a text", "not an image of a known format"),
        (b"\xff\xd8\xff", "not an image of a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image of a known format"),
        (png_header(100_000, 100_000), f"too large: more than {MAX_PIXELS:,} pixels"),
    ],
)
def test_other_content_is_refused_with_the_reason(tmp_path, content, reason):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError, match="photo.jpg") as caught:
        read_image(path)
    assert caught.value.reason == reason


def chunk(kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def with_chunk(content: bytes, *chunks: bytes) -> bytes:
    """Add chunks to a PNG file after its header."""
    return content[:33] + b"".join(chunks) + content[33:]


LARGE = zlib.compress(bytes(2_000_000))
UNIMPORTANT = {
    "large colour profile": chunk(b"iCCP", b"x\0\0" + LARGE),
    "large text": chunk(b"zTXt", b"Comment\0\0" + LARGE),
    "large XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LARGE),
    "much text": chunk(b"tEXt", b"Comment\0" + bytes(1_000_000)) * 68,
    **{
        f"checksum of {kind.decode()}": chunk(kind, data, 1)
        for kind, data in (
            (b"tEXt", b"k\0v"),
            (b"gAMA", b"\0\0\xb1\x8f"),
            (b"pHYs", bytes(9)),
            (b"eXIf", b"Exif"),
            (b"iCCP", b"x\0\0" + zlib.compress(b"profile")),
            (b"prVt", b"private"),
        )
    },
    "short gAMA": chunk(b"gAMA", b""),
    "short cHRM": chunk(b"cHRM", b"x"),
    "unknown compression of a profile": chunk(b"iCCP", b"x\0\5abc"),
    "unknown compression of text": chunk(b"zTXt", b"x\0\5abc"),
}


@pytest.mark.parametrize("extra", UNIMPORTANT.values(), ids=UNIMPORTANT)
@pytest.mark.parametrize("place", ["start", "end"])
def test_png_chunks_that_do_not_matter_may_be_large_or_damaged(extra, place):
    content = encoded(photograph(), "PNG")
    changed = with_chunk(content, extra)
    if place == "end":
        changed = content[:-12] + extra + content[-12:]
    assert np.array_equal(read_image(changed), np.asarray(photograph()))


def test_what_decides_on_the_pixels_is_kept_beside_damaged_chunks():
    bad = UNIMPORTANT["large colour profile"]
    picture = Image.new("RGBA", (3, 2), (255, 0, 0, 0))
    picture.putpixel((2, 1), (0, 0, 255, 255))
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((1, 0), 1)
    for one, options in ((picture, {}), (palette, {"transparency": 1})):
        content = encoded(one, "PNG", **options)
        expected = read_image(content)
        assert np.array_equal(read_image(with_chunk(content, bad)), expected)
    exif = Image.Exif()
    exif[0x0112] = 6
    xmp = b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'
    plain = encoded(photograph(), "PNG")
    rotated = np.rot90(np.asarray(photograph()), -1)
    for content in (
        encoded(photograph(), "PNG", exif=exif),
        with_chunk(plain, chunk(b"iTXt", xmp)),
    ):
        assert np.array_equal(read_image(content), rotated)
        assert np.array_equal(read_image(with_chunk(content, bad)), rotated)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encoded(photograph(), "PNG")[:29] + b"abcd" + encoded(photograph(), "PNG")[33:], "format"),
        (with_chunk(encoded(photograph(), "PNG")[:120], UNIMPORTANT["large text"]), "truncated"),
        (with_chunk(encoded(photograph(), "PNG"), chunk(b"tRNS", bytes(6), 1)), "format"),
    ],
    ids=["header", "truncated", "transparency"],
)
def test_damage_that_matters_is_still_refused(content, reason):
    with pytest.raises(UnreadableImageError, match=reason):
        read_image(content)


def test_zero_size_is_refused():
    with pytest.raises(UnreadableImageError) as caught:
        read_image(b"P6 0 5 255\n")
    assert caught.value.reason


def test_max_pixels_is_checked_before_decoding():
    began = time.monotonic()
    with pytest.raises(UnreadableImageError, match="9000 x 9000, more than 1,000,000 pixels"):
        read_image(png_header(9_000, 9_000), max_pixels=1_000_000)
    assert time.monotonic() - began < 1
    assert read_image(encoded(Image.new("L", (10, 100)), "PNG"), max_pixels=1000).shape[0] == 100


def test_a_missing_file_is_not_an_unreadable_image(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "gone.png")


def test_no_warning_leaks():
    # A JPEG whose EXIF block is cut off, and a header above Pillow's own warning.
    code = f"""
import io
from PIL import Image
from proxy_keras.data.images import UnreadableImageError, read_image
exif = b"Exif\\x00\\x00II*\\x00\\x08\\x00\\x00\\x00\\x02\\x00\\x12\\x01\\x03\\x00\\x01\\x00"
file = io.BytesIO()
Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
print(read_image(file.getvalue()).shape)
try:
    read_image({png_header(10_000, 10_000)!r})
except UnreadableImageError as error:
    print(error.reason)
"""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "(8, 8, 3)\ntruncated\n", done.stderr
    assert "Warning" not in done.stderr


def test_large_jpegs_are_decoded_at_a_fraction_if_they_are_resized():
    content = encoded(photograph(1024), "JPEG", quality=95)
    assert read_image(content).shape == (1024, 1024, 3)
    with Image.open(io.BytesIO(content)) as picture:
        picture.draft(None, (200, 200))
        part = np.asarray(picture)
    assert part.shape == (256, 256, 3)
    small = read_resized(content, 100)
    assert np.array_equal(small, resize(part, 100))
    assert np.abs(small.astype(int) - resize(read_image(content), 100)).max() <= 3


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "I"])
@pytest.mark.parametrize("size", [5, (7, 3), (9, 12)])
def test_resized_images_are_those_of_any_mode_resized(mode, size):
    values = np.random.default_rng(0).integers(0, 256, (9, 12, 4), np.uint8)
    if mode.startswith("I"):
        picture = Image.fromarray(values[..., 0].astype(np.uint16) * 251)
    else:
        picture = Image.fromarray(values).convert(mode)
    content = encoded(picture, "PNG")
    found = read_resized(content, size)
    assert found.flags.writeable and found.dtype == np.uint8
    assert np.array_equal(found, resize(read_image(content), size))


def test_resize_averages_when_it_shrinks():
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::2] = 200
    small = resize(stripes, 2)
    assert small.shape == (2, 2, 3)
    # Without antialiasing this would be 0 or 200.
    assert np.abs(small.astype(int) - 100).max() <= 20


def test_resize_stretches_and_keeps_what_fits():
    image = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)
    assert resize(image, 4).shape == (4, 4, 3)
    square = image[:, :2]
    assert resize(square, 2) is square


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "WEBP"]),
    cut=st.integers(1, 400),
    changes=st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), max_size=8),
)
def test_damaged_files_are_read_or_refused_but_never_crash(kind, cut, changes):
    content = bytearray(encoded(photograph(24), kind))[:cut]
    for place, value in changes:
        if place < len(content):
            content[place] = value
    try:
        pixels = read_image(bytes(content), max_pixels=1_000_000)
    except UnreadableImageError as error:
        assert error.reason
    else:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
