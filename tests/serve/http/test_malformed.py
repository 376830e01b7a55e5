"""Thousands of malformed requests get nothing but 4xx, and good ones beside them get answers."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import io
import json
import re
import socket
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from PIL import Image
from schemathesis import GenerationMode

SIZE = 8
PREDICT = "/v1/predict"
INFER = "/v2/models/mean_colour/infer"
LENGTH = "Inference-Header-Content-Length"
TIMEOUT_S = 8
PAGES = ["/", "/docs", "/page/script.js"]
GETS = [
    *("/v1/models", "/v2", "/v2/health/live", "/v2/health/ready", "/metrics", "/openapi.json"),
    *("/v2/models/mean_colour", "/v2/models/mean_colour/ready"),
    *("/v2/models/mean_colour/versions/1", "/v2/models/mean_colour/versions/1/ready"),
]
POSTS = [PREDICT, INFER, "/v2/models/mean_colour/versions/1/infer", "/v2/repository/index"]


@dataclass
class Sent:
    """A request with a body; HTTP itself is sound.

    Attributes:
        what: For the report.
        may_pass: Chance made it; it may be valid after all.
    """

    what: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    may_pass: bool = False


# ---- images ----


def picture(kind: str, **options: Any) -> bytes:
    """A small picture of noise, so that its data are needed to the end."""
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
        # The last tenth of some formats can be missed without harm.
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
        "PNG with a text bomb": png(
            8, 8, before=png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000)))
        ),
        "JPEG": jpeg[: frame + 5] + b"\xff\xff\xff\xff" + jpeg[frame + 9 :],
        "GIF": b"GIF89a\xff\xff\xff\xff" + FORMATS["GIF"][10:],
        "BMP": FORMATS["BMP"][:18] + b"\xff\xff\xff\x7f" * 2 + FORMATS["BMP"][26:],
        "PPM": b"P6 1000000 1000000 255\n" + bytes(1000),
        "PPM with long numbers": b"P6 " + b"9" * 100_000,
    }
    for what, body in bombs.items():
        yield Sent(f"bomb: {what}", PREDICT, body)
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


# ---- forms ----


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


# ---- tensors ----


def tensor(**changes: Any) -> dict[str, Any]:
    shape = [1, SIZE, SIZE, 3]
    entry = {"name": "image", "shape": shape, "datatype": "UINT8", "data": [9] * SIZE * SIZE * 3}
    return {**entry, **changes}


def broken_tensors() -> Iterator[Sent]:
    datatypes = ["BOOL", "INT8", "UINT16", "INT64", "FP16", "FP32", "FP64", "BYTES", "uint8", "", 8]
    pixels = SIZE * SIZE * 3
    shapes: list[Any] = [
        *([], [1], [pixels], [1, pixels], [SIZE, SIZE, 3], [1, 3, SIZE, SIZE], [1, SIZE, SIZE]),
        *([0, SIZE, SIZE, 3], [-1, SIZE, SIZE, 3], [9, SIZE, SIZE, 3], [2**63, SIZE, SIZE, 3]),
        *([1, SIZE, SIZE, 4], [1, SIZE, SIZE, -3], [1, 2**32, 2**32, 3], [1] * 1000, [10**300] * 4),
        *(["1", SIZE, SIZE, 3], [1.0, SIZE, SIZE, 3], [True, SIZE, SIZE, 3], None, {}, "1", 1),
    ]
    entries: dict[str, Any] = {}
    for datatype, shape in product(datatypes, shapes):
        entries[f"{datatype!r} of {str(shape)[:30]}"] = tensor(datatype=datatype, shape=shape)
    for shape in shapes:
        entries[f"shape {str(shape)[:30]}"] = tensor(shape=shape)
    values: list[Any] = [-1, 256, 10**400, 0.5, 1e308, True, None, "1", [], {}, [9], "NaN"]
    for value, place in product(values, (0, 100, pixels - 1)):
        data: list[Any] = [9] * pixels
        data[place] = value
        entries[f"{str(value)[:10]} at {place}"] = tensor(data=data)
    for length in (0, 1, pixels - 1, pixels + 1, 2 * pixels, 100_000):
        entries[f"{length} values"] = tensor(data=[9] * length)
    entries["nested wrongly"] = tensor(data=[[9] * pixels])
    entries["a string"] = tensor(data="9" * pixels)
    entries["a map"] = tensor(data={})
    names: list[Any] = ["", "Image", "images", None, 1, [], {}, "x" * 10_000]
    for name in names:
        entries[f"input {str(name)[:10]}"] = tensor(name=name)
    for what, entry in entries.items():
        yield as_json(what, {"inputs": [entry]})
    good = tensor()
    whole: dict[str, Any] = {
        "no inputs": {},
        "null": None,
        "list": [],
        "inputs a map": {"inputs": good},
        "two inputs": {"inputs": [good, good]},
        "10,000 inputs": {"inputs": [{"name": "image"}] * 10_000},
        "id a number": {"id": 1, "inputs": [good]},
        "parameters a list": {"inputs": [good], "parameters": []},
        "output twice": {"inputs": [good], "outputs": [{"name": "logits"}] * 2},
        "10,000 outputs": {"inputs": [good], "outputs": [{"name": "logits"}] * 10_000},
        "shared memory": {"inputs": [tensor(parameters={"shared_memory_region": "a"})]},
    }
    outputs: list[Any] = ["", "other", None, 1, [], {}]
    for output in outputs:
        whole[f"output {output}"] = {"inputs": [good], "outputs": [{"name": output}]}
    for parameter, value in product(("binary_data", "classification"), ("yes", -1, [], 1.5)):
        wanted = {"name": "logits", "parameters": {parameter: value}}
        whole[f"{parameter} {value}"] = {"inputs": [good], "outputs": [wanted]}
    for what, document in whole.items():
        yield as_json(what, document)
    yield from broken_json(json.dumps({"inputs": [good]}).encode())
    yield from broken_binary()


def as_json(what: str, document: Any) -> Sent:
    return Sent(what, INFER, json.dumps(document).encode())


def broken_json(whole: bytes) -> Iterator[Sent]:
    for length in range(len(whole)):
        yield Sent(f"JSON cut at {length}", INFER, whole[:length])
    rng = np.random.default_rng(3)
    for number in range(150):
        damaged = bytearray(whole)
        damaged[rng.integers(0, 80)] = rng.integers(0, 256)
        yield Sent(f"JSON damaged, {number}", INFER, bytes(damaged), may_pass=True)
    texts = {
        "arrays 100,000 deep": b"[" * 100_000,
        "arrays 20,000 deep, closed": b'{"inputs":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        "objects 10,000 deep": b'{"a":' * 10_000,
        "1,000,000 digits": b'{"inputs":' + b"9" * 1_000_000 + b"}",
        "10,000 digits": b'{"inputs":' + b"9" * 10_000 + b"}",
        "exponent": b'{"inputs": 1e999999999}',
        "8 MB": b'{"inputs": [' + b"[]," * 2_700_000 + b"[]]}",
        "5,000 keys": b"{" + b",".join(b'"%d":0' % n for n in range(5000)) + b"}",
        "UTF-16": whole.decode().encode("utf-16"),
        "byte order mark": b"\xef\xbb\xbf" + whole,
        "no UTF-8": whole.replace(b"image", b"im\xffge"),
        "overlong UTF-8": whole.replace(b"image", b"im\xc0\xaege"),
        "half a surrogate": whole.replace(b"image", b"\\ud800"),
        "NaN": whole.replace(b"9, 9]", b"9, NaN]"),
        "Infinity": whole.replace(b"9, 9]", b"9, -Infinity]"),
        "trailing comma": whole.replace(b"9, 9]", b"9, 9,]"),
        "two documents": whole + whole,
        "comment": b"/* */" + whole,
    }
    for what, text in texts.items():
        yield Sent(f"JSON: {what}", INFER, text)


def broken_binary() -> Iterator[Sent]:
    pixels = SIZE * SIZE * 3
    head = {"name": "image", "shape": [1, SIZE, SIZE, 3], "datatype": "UINT8"}
    for size in (0, 1, pixels - 1, pixels + 1, -pixels, 2**63, 2**70, str(pixels), None, True, 1.0):
        text = json.dumps({"inputs": [{**head, "parameters": {"binary_data_size": size}}]})
        body = text.encode() + bytes(pixels)
        yield Sent(f"binary size {size}", INFER, body, {LENGTH: str(len(text))})
    text = json.dumps({"inputs": [{**head, "parameters": {"binary_data_size": pixels}}]})
    body = text.encode() + bytes(pixels)
    for length in range(len(body) + 4):
        if length != len(text):
            yield Sent(f"JSON length {length}", INFER, body, {LENGTH: str(length)})
    for value in ("", "-1", "+1", "1e2", "0x80", "1_0", "1,2", "\xb2", "9" * 40, "9" * 5000):
        yield Sent(f"JSON length {value[:10]!r}", INFER, body, {LENGTH: value})
    yield Sent("no JSON length", INFER, body)
    for extra in (-pixels, -1, 1, 1000):
        wrong = body[:extra] if extra < 0 else body + bytes(extra)
        yield Sent(f"{extra} bytes", INFER, wrong, {LENGTH: str(len(text))})


def zeros(count: int) -> bytes:
    """This many zeros in gzip."""
    packer = zlib.compressobj(1, wbits=31)
    megabytes = [packer.compress(bytes(1 << 20)) for _ in range(count >> 20)]
    return b"".join([*megabytes, packer.flush()])


def broken_codings() -> Iterator[Sent]:
    whole = json.dumps({"inputs": [tensor()]}).encode()
    packed = gzip.compress(whole)
    bomb = zeros(1 << 30)
    cases = {
        "gzip that is none": ("gzip", whole),
        "gzip cut": ("gzip", packed[:-1]),
        "gzip with more behind": ("gzip", packed + b"more"),
        "gzip as deflate": ("deflate", packed),
        "deflate without its head": ("deflate", zlib.compress(whole)[2:-4]),
        "gzip twice": ("gzip, gzip", gzip.compress(packed)),
        "gzip of gzip": ("gzip", gzip.compress(packed)),
        "brotli": ("br", whole),
        "nothing known": ("x" * 5000, whole),
        "gzip of nothing": ("gzip", b""),
        "gzip bomb": ("gzip", bomb),
        "deflate bomb": ("deflate", zlib.compress(bytes(40_000_000), 1)),
        "gzip bomb in a gzip": ("gzip", gzip.compress(bomb)),
        "gzip of many members": ("gzip", gzip.compress(b"") * 20_000),
    }
    for (what, (coding, body)), path in product(cases.items(), (PREDICT, INFER)):
        yield Sent(f"{what} to {path}", path, body, {"Content-Encoding": coding})
    for length in range(0, len(packed) - 1, 2):
        yield Sent(f"gzip cut at {length}", INFER, packed[:length], {"Content-Encoding": "gzip"})


# ---- methods and paths ----


def wrong_places() -> Iterator[Sent]:
    for path, method in product(POSTS, ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "X")):
        yield Sent(f"{method} {path}", path, method=method)
    for path, method in product(GETS + PAGES, ("POST", "PUT", "PATCH", "DELETE", "TRACE", "X")):
        yield Sent(f"{method} {path}", path, method=method)
    for path in (
        *("//", "/v1", "/v1/", "/v2/", "/v3", "/V2", "/v2/models", "/v2/models/", "/v1/predict/"),
        *("/v2/models/other", "/v2/models/mean_colour/", "/v2/models/mean_colour/versions"),
        *("/v2/models/mean_colour/versions/2", "/v2/models/mean_colour/versions/1.0/ready"),
        *("/v2/models/mean_colour/versions/" + "9" * 5000, "/v2/models/%00", "/v2/models/%ff"),
        *("/v2/models/..%2f..%2fetc%2fpasswd", "/v2/models/../../../etc/passwd", "/../etc/passwd"),
        *("/page/", "/page/..", "/page/../server.py", "/page/%2e%2e/server.py"),
        *("/page/..%2fserver.py", "/page/..%5cserver.py", "/page/%2fetc%2fpasswd"),
        *("/page/script.js/", "/page/script.js%00", "/page/.%2fscript.js", "/page/__init__.py"),
        *("/page/%c0%ae%c0%ae/server.py", "/" + "a/" * 2000, "/" + "%41" * 3000, "/%", "/%zz"),
        *("/docs/", "/redoc", "/openapi.json/", "/metrics/", "/.env", "/.git/config", "/*"),
    ):
        yield Sent(f"GET {path[:40]}", path, method="GET")


# ---- HTTP itself ----


def head(
    *lines: bytes,
    start: bytes = b"POST /v1/predict HTTP/1.1",
    host: bool = True,
    last: bool = True,
) -> bytes:
    hosts = (b"Host: 127.0.0.1",) if host else ()
    closes = (b"Connection: close",) if last else ()
    return b"\r\n".join((start, *hosts, *closes, *lines, b"", b""))


def chunked(body: bytes) -> bytes:
    return head(b"Transfer-Encoding: chunked") + body


def broken_http() -> Iterator[tuple[str, bytes]]:
    ping = b"GET /v2/nothing HTTP/1.1"
    for value in (
        *(b"-1", b"+5", b"5.0", b"0x5", b"five", b"", b"5 5", b"5,6", b"5, 5, 6", b"\xb2"),
        *(b"1_0", b"9" * 25, b"9" * 5000, b"33554433", b"99999999999"),
    ):
        yield f"Content-Length {value[:12]!r}", head(b"Content-Length: " + value) + b"hello"
    two = (b"Content-Length: 5", b"Content-Length: 6")
    yield "two lengths", head(*two) + b"hello!"
    for length in (6, 100, 10_000):
        yield f"{length} for 5 bytes", head(b"Content-Length: %d" % length) + b"hello"
    for length in (0, 1, 4):
        # What is left over is taken for the next request.
        size = b"Content-Length: %d" % length
        yield f"{length} for 5 bytes", head(size, last=False) + b"hello\r\n\r\n"
    both = (b"Content-Length: 5", b"Transfer-Encoding: chunked")
    yield "length and chunks", head(*both) + b"5\r\nhello\r\n0\r\n\r\n"
    for coding in (b"gzip", b"chunked, chunked", b"xchunked", b"identity", b"", b"chunked\x0b"):
        yield (
            f"Transfer-Encoding {coding!r}",
            head(b"Transfer-Encoding: " + coding) + b"5\r\nhello\r\n0\r\n\r\n",
        )
    yield "two codings", head(*[b"Transfer-Encoding: chunked"] * 2) + b"0\r\n\r\n"
    for what, body in {
        "no size": b"\r\nhello\r\n0\r\n\r\n",
        "size no number": b"zz\r\nhello\r\n0\r\n\r\n",
        "size negative": b"-5\r\nhello\r\n0\r\n\r\n",
        "size huge": b"f" * 16 + b"\r\nhello",
        "size of many digits": b"0" * 5000 + b"5\r\nhello\r\n0\r\n\r\n",
        "size in 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
        "too short": b"2\r\nhello\r\n0\r\n\r\n",
        "too long": b"8\r\nhello\r\n0\r\n\r\n",
        "no end": b"5\r\nhello\r\n",
        "cut": b"5\r\nhel",
        "no line end": b"5hello0",
        "long extension": b"5;" + b"a" * 100_000 + b"\r\nhello\r\n0\r\n\r\n",
        "bad trailer": b"5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        "40 MB": (b"400000\r\n" + bytes(0x400000) + b"\r\n") * 10 + b"0\r\n\r\n",
        "one byte each": b"1\r\na\r\n" * 5000 + b"0\r\n\r\n",
    }.items():
        yield f"chunks: {what}", chunked(body)
    for start in (
        *(b"", b" ", b"GET", b"GET /", b"GET / HTTP", b"GET / HTTP/1"),
        *(b"GET / http/1.1", b"GET / FTP/1.1", b"GET  / HTTP/1.1"),
        *(b"/ GET HTTP/1.1", b"GET / HTTP/1.1 more", b"G\0T / HTTP/1.1", b"GET /\0 HTTP/1.1"),
        *(b"GET /\xff\xfe HTTP/1.1", b"G(T / HTTP/1.1", b"GET /a b HTTP/1.1", b"\tGET / HTTP/1.1"),
        *(b"GET /" + b"a" * 100_000 + b" HTTP/1.1", b"A" * 100_000 + b" / HTTP/1.1"),
        *(b"CONNECT example.org:443 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"TRACE / HTTP/1.1"),
    ):
        yield f"start {start[:30]!r}", head(start=start)
    for line in (
        *(b"no colon", b": no name", b"a b: c", b"a\0b: c", b"a: b\0c", b"\xe9: a", b"a: \x01"),
        *(b" folded: at once", b"a : b", b"(a): b", b"a\rb: c", b"a: b\rc"),
        *(b"a: " + b"b" * 200_000, b"b" * 200_000 + b": a"),
        b"\r\n".join(b"a%d: b" % n for n in range(20_000)),
    ):
        yield f"header {line[:20]!r}", head(line, start=ping)
    yield "no host", head(host=False, start=ping)
    yield "two hosts", head(b"Host: 127.0.0.1", start=ping)
    for host in (b"", b"example.org", b"127.0.0.1.example.org", b"a" * 5000, b"a b"):
        yield f"host {host[:20]!r}", head(b"Host: " + host, host=False, start=b"GET / HTTP/1.1")
    yield "other host in the path", head(start=b"GET http://example.org/ HTTP/1.1")
    yield "half a head", b"POST /v1/predict HTTP/1.1\r\nHost: 127"
    yield "line ends of CR", b"GET / HTTP/1.1\rHost: 127.0.0.1\r\r"
    yield "only line ends", b"\r\n" * 5000
    yield "zeros", bytes(10_000)
    yield "noise", np.random.default_rng(5).bytes(10_000)
    yield "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
    yield "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    expect = (b"Expect: 100-continue", b"Content-Length: 99999999999")
    yield "expects to send too much", head(*expect)
    yield "expects something", head(b"Expect: more", b"Content-Length: 5") + b"hello"
    upgrade = (b"Connection: Upgrade", b"Sec-WebSocket-Key: a", b"Sec-WebSocket-Version: 13")
    for protocol in (b"websocket", b"h2c", b"\xff"):
        yield f"upgrade to {protocol!r}", head(b"Upgrade: " + protocol, *upgrade, start=ping)
    pixels = SIZE * SIZE * 3
    entry = tensor(parameters={"binary_data_size": pixels})
    del entry["data"]
    text = json.dumps({"inputs": [entry]}).encode()
    lengths = [b"%s: %d" % (LENGTH.encode(), length) for length in (len(text), 5)]
    size = b"Content-Length: %d" % (len(text) + pixels)
    start = b"POST %s HTTP/1.1" % INFER.encode()
    for order in (lengths, lengths[::-1]):
        yield "two JSON lengths", head(size, *order, start=start) + text + bytes(pixels)


def exchange(port: int, sent: bytes) -> list[int]:
    """The statuses of all answers to these bytes until the server closes; none is a clean close."""
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=3 * TIMEOUT_S) as connection:
        # A server that has refused may close before all is sent.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        connection.settimeout(0.3)
        with contextlib.suppress(ConnectionResetError):
            while piece := more_of(connection):
                received += piece
    return statuses_in(bytes(received))


def more_of(connection: socket.socket) -> bytes:
    """The next bytes; a server that waits for more is told that there is no more."""
    try:
        return connection.recv(65_536)
    except TimeoutError:
        connection.settimeout(3 * TIMEOUT_S)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(65_536)


def statuses_in(received: bytes) -> list[int]:
    statuses = []
    while received:
        top, _, rest = received.partition(b"\r\n\r\n")
        match = re.match(rb"HTTP/1\.1 (\d{3}) ", top)
        assert match, f"no answer of HTTP: {received[:80]!r}"
        status = int(match[1])
        length = re.search(rb"(?i)content-length: (\d+)", top)
        # Without a length the body lasts until the server closes.
        received = rest[int(length[1]) :] if length else b""
        if status != 100:
            statuses.append(status)
    return statuses


# ---- those who talk to the server ----


class GoodClient(threading.Thread):
    """Asks for what it is owed, over and over on one connection, and keeps what came.

    Attributes:
        right: Answers that were as they must be.
        wrong: Those that were not.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.right = 0
        self.wrong: list[str] = []
        self._port = port
        self._is_over = threading.Event()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        picture = red_png()
        text = json.dumps({"inputs": [tensor()], "outputs": [{"name": "logits"}]})
        while not self._is_over.wait(0.01):
            connection.request("POST", f"{PREDICT}?heatmap=true", picture)
            answer = self._answer(connection)
            if answer.get("predictions", [{}])[0].get("class_id") == 0:
                self.right += 1
            else:
                self.wrong.append(str(answer))
            connection.request("POST", INFER, text)
            answer = self._answer(connection)
            data = answer.get("outputs", [{}])[0].get("data", [0])
            if np.allclose(data, 9 / 255, atol=1e-6):
                self.right += 1
            else:
                self.wrong.append(str(answer))
        connection.close()

    def stop(self) -> None:
        self._is_over.set()
        self.join(60)

    def _answer(self, connection: http.client.HTTPConnection) -> dict[str, Any]:
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        return {**answer, "status": response.status}


class Dawdler(threading.Thread):
    """Sends the beginning of a request and then nothing, and keeps the statuses that come."""

    def __init__(self, port: int, beginning: bytes) -> None:
        super().__init__(daemon=True)
        self.statuses: list[int] | None = None
        self._port = port
        self._beginning = beginning

    def run(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=60) as connection:
            connection.sendall(self._beginning)
            received = b""
            while piece := connection.recv(65_536):
                received += piece
        self.statuses = statuses_in(received)


def send(connection: http.client.HTTPConnection, case: Sent) -> tuple[int, bytes]:
    """The status and the body of the answer to a request that is sound as HTTP."""
    connection.putrequest(case.method, case.path, skip_accept_encoding=True)
    connection.putheader("Content-Length", str(len(case.body)))
    for name, value in case.headers.items():
        connection.putheader(name, value.encode("latin-1"))
    connection.endheaders(case.body)
    response = connection.getresponse()
    return response.status, response.read()


def from_the_schema(port: int, count: int) -> Iterator[tuple[str, int, bool]]:
    """Requests that schemathesis makes of the server's own description: what, status, may pass."""
    url = f"http://127.0.0.1:{port}"
    schema = schemathesis.openapi.from_dict(requests.get(f"{url}/openapi.json", timeout=60).json())
    schema.config.update(base_url=url)
    known = {"name": "mean_colour", "version": "1"}
    session = requests.Session()
    for found, mode in product(schema.get_all_operations(), GenerationMode):
        operation = found.ok()
        is_asked = operation.method == "post" and operation.path != "/v2/repository/index"
        # Without parameters there is nothing to get wrong.
        if is_asked or mode is GenerationMode.POSITIVE:
            names = {key: known[key] for key in known if f"{{{key}}}" in operation.path}
            strategy = operation.as_strategy(
                generation_mode=mode, path_parameters=names if is_asked else None
            )
            may_pass = mode is GenerationMode.POSITIVE
            for status in asked(strategy, session, count if is_asked else count // 8):
                yield f"{mode.name} {operation.label}", status, may_pass
    session.close()


def asked(strategy: Any, session: requests.Session, count: int) -> list[int]:
    """The statuses of the answers to this many of a strategy's requests, always the same ones."""
    statuses: list[int] = []

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def ask(case: schemathesis.Case[Any]) -> None:
        statuses.append(case.call(session=session, timeout=60).status_code)

    ask()
    return statuses


@pytest.mark.slow
def test_malformed_requests_are_refused_and_good_ones_beside_them_answered(
    start_process: Callable[..., Any], write_model: Callable[..., Path]
) -> None:
    server = start_process(
        *(write_model(size=SIZE), "--device", "cpu", "--threads", 1, "--timeout-s", TIMEOUT_S)
    )
    server.wait_ready()
    good = [GoodClient(server.port), GoodClient(server.port)]
    slow = [
        Dawdler(server.port, head(b"Content-Length: 50") + b"hello"),
        Dawdler(server.port, chunked(b"5\r\nhello\r\n")),
        Dawdler(server.port, b"POST /v1/pre"),
        Dawdler(server.port, b""),
    ]
    for thread in (*good, *slow):
        thread.start()
    try:
        count, bad = send_everything(server.port)
    finally:
        for client in good:
            client.stop()
    for dawdler in slow:
        dawdler.join(3 * TIMEOUT_S)

    assert not bad, "\n".join(bad)
    assert sum(count.values()) - count["may have passed"] >= 2_000, count
    assert count["closed"] <= 12, count
    assert [dawdler.statuses for dawdler in slow] == [[408], [408], [], []]
    assert [client.wrong for client in good] == [[], []]
    assert all(client.right >= 20 for client in good), [client.right for client in good]
    assert server.process.poll() is None
    ready = requests.get(f"http://127.0.0.1:{server.port}/v2/health/ready", timeout=60)
    assert ready.json() == {"ready": True}
    assert "Traceback" not in server.log
    assert peak_memory_mb(server.process.pid) < 600


def send_everything(port: int) -> tuple[Counter[int | str], list[str]]:
    """How many requests came to which status, and a line for each that was not as it must be."""
    count: Counter[int | str] = Counter()
    bad: list[str] = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for cases in (*(broken_images, broken_forms, broken_tensors, broken_codings, wrong_places),):
        for case in cases():
            status, body = send(connection, case)
            is_fine = 400 <= status < 500 and json.loads(body)["error"]
            if not (is_fine or (case.may_pass and status == 200)):
                bad.append(f"{case.what}: {status} {body[:200]!r}")
            count["may have passed" if case.may_pass else status] += 1
    connection.close()
    for what, sent in broken_http():
        statuses = exchange(port, sent)
        if not all(400 <= status < 500 for status in statuses):
            bad.append(f"{what}: {statuses}")
        count[statuses[0] if statuses else "closed"] += 1
    for what, status, may_pass in from_the_schema(port, 60):
        if not (400 <= status < 500 or (may_pass and status == 200)):
            bad.append(f"{what}: {status}")
        count["may have passed" if may_pass else status] += 1
    return count, bad


def peak_memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        # Only Linux tells; elsewhere the statuses above have to do.
        return 0.0
    peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    assert peak
    return int(peak[1]) / 1024
