"""Invalid images and forms."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from tests.serve.http.malformed.sent import PREDICT, Sent


def picture(kind: str, **options: Any) -> bytes:
    """Return a small noise image, which cannot be decoded if truncated."""
    pixels = np.random.default_rng(7).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, kind, **options)
        return file.getvalue()


def red_png() -> bytes:
    with io.BytesIO() as file:
        Image.new("RGB", (12, 12), (250, 10, 10)).save(file, "PNG")
        return file.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, before: bytes = b"") -> bytes:
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(4096)))
    return b"\x89PNG\r\n\x1a\n" + head + before + pixels + png_chunk(b"IEND", b"")


FORMATS = {
    "PNG": picture("PNG"),
    "JPEG": picture("JPEG"),
    "GIF": picture("GIF"),
    "BMP": picture("BMP"),
    "WEBP": picture("WEBP", lossless=True),
    "TIFF": picture("TIFF"),
    "PPM": picture("PPM"),
    "JPEG2000": picture("JPEG2000"),
}


def broken_images() -> Iterator[Sent]:
    for kind, whole in FORMATS.items():
        # Some formats can be decoded without their last tenth.
        for length in np.linspace(0, 0.9 * len(whole), 60, dtype=int):
            yield Sent(f"{kind} cut at {length}", PREDICT, whole[:length])
        rng = np.random.default_rng(len(whole))
        for number in range(25):
            damaged = bytearray(whole)
            for place in rng.integers(0, len(whole), 12):
                damaged[place] = rng.integers(0, 256)
            yield Sent(f"{kind} damaged, {number}", PREDICT, bytes(damaged), may_pass=True)
    jpeg = FORMATS["JPEG"]
    frame = jpeg.index(b"\xff\xc0")
    bombs = {
        "PNG": png(50_000, 50_000),
        "PNG of most pixels": png(2**31 - 1, 2**31 - 1),
        "PNG without pixels": png(0, 0),
        "JPEG": jpeg[: frame + 5] + b"\xff\xff\xff\xff" + jpeg[frame + 9 :],
        "GIF": b"GIF89a\xff\xff\xff\xff" + FORMATS["GIF"][10:],
        "BMP": FORMATS["BMP"][:18] + b"\xff\xff\xff\x7f" * 2 + FORMATS["BMP"][26:],
        "PPM": b"P6 1000000 1000000 255\n" + bytes(1000),
        "PPM with long numbers": b"P6 " + b"9" * 100_000,
    }
    for what, body in bombs.items():
        yield Sent(f"bomb: {what}", PREDICT, body)
    # A sound image: its text is left out, not decompressed.
    text = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000)))
    yield Sent("PNG with a text bomb", PREDICT, png(8, 8, before=text), may_pass=True)
    for what, body in {
        "empty": b"",
        "text": b"this is no picture",
        "HTML": b"<!doctype html><p>hello",
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "zeros": bytes(100_000),
    }.items():
        yield Sent(f"no image: {what}", PREDICT, body)
    for kind in ("text/plain", "application/json", "video/mp4", "image", "/", "a" * 5000):
        yield Sent(f"Content-Type {kind[:20]}", PREDICT, red_png(), {"Content-Type": kind})
    for query in (
        *("top_k=0", "top_k=-1", "top_k=", "top_k=many", "top_k=1.5", "top_k=0x1", "top_k=1e3"),
        *("heatmap=perhaps", "heatmap=", "heatmap=2", "model=", "model=other", "model=%ff"),
        *("model=%00", "model=..%2f..", "model=" + "a" * 5000, "top_k=1&top_k=none"),
    ):
        yield Sent(f"query {query[:20]}", f"{PREDICT}?{query}", red_png())
    for query in ("top_k=" + "9" * 30, "&&=&;", "top_k=%31", "other=1", "%zz"):
        yield Sent(f"query {query}", f"{PREDICT}?{query}", red_png(), may_pass=True)


def form(*parts: bytes, end: bytes = b"--edge--\r\n") -> bytes:
    return b"".join(b"--edge\r\n" + part + b"\r\n" for part in parts) + end


def part(headers: bytes, content: bytes = b"x") -> bytes:
    return headers + b"\r\n\r\n" + content


def broken_forms() -> Iterator[Sent]:
    file = b'Content-Disposition: form-data; name="file"; filename="a.png"'
    text = b'Content-Disposition: form-data; name="text"'
    good = part(file, red_png())
    of_edge = "multipart/form-data; boundary=edge"
    bodies = {
        "no part": form(),
        "no file": form(part(text)),
        "two files": form(good, good),
        "10,000 fields": form(*[part(text)] * 10_000, good),
        "10,000 files": form(*[part(file)] * 10_000),
        "no end": form(good, end=b""),
        "cut": form(good)[:-30],
        "other edge": form(good).replace(b"edge", b"ridge"),
        "no form": red_png(),
        "empty": b"",
        "header without colon": form(part(b"Content-Disposition"), good),
        "no headers": form(part(b""), part(b"")),
        "no name": form(part(b"Content-Disposition: form-data")),
        "header without end": b"--edge\r\n" + b"a" * 100_000,
        "long header": form(part(file + b"; a=" + b"b" * 200_000)),
        "empty file": form(part(file, b"")),
        "file that is no image": form(part(file, b"hello")),
        "nested": form(part(file, form(good))),
        "NUL in a header": form(part(b"\0" + file, red_png())),
        "edge in the file": form(part(file, b"\r\n--edge\r\n")),
        "only dashes": b"-" * 100_000,
        "only line ends": b"\r\n" * 50_000,
    }
    for what, body in bodies.items():
        yield Sent(f"form: {what}", PREDICT, body, {"Content-Type": of_edge})
    for boundary in (
        *("", "boundary", "boundary=", 'boundary="', "boundary=\xe9", "boundary=" + "e" * 5000),
        *("boundary=edge2", "boundary=edge; boundary=ridge", "charset=utf-16", "boundary=ed ge"),
    ):
        kind = {"Content-Type": f"multipart/form-data; {boundary}"}
        may_pass = boundary.startswith("boundary=edge;")
        yield Sent(f"form: {boundary[:30]}", PREDICT, form(good), kind, may_pass=may_pass)
    for other in ("multipart/mixed; boundary=edge", "application/x-www-form-urlencoded"):
        yield Sent(f"form: {other}", PREDICT, form(good), {"Content-Type": other})
    whole = form(good)
    for length in range(0, len(whole) - 8, 3):
        yield Sent(f"form cut at {length}", PREDICT, whole[:length], {"Content-Type": of_edge})
