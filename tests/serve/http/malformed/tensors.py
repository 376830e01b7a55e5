"""Invalid tensors, in JSON, binary and compressed."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from tests.serve.http.malformed.sent import INFER, LENGTH, PREDICT, SIZE, Sent


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
    """Return this many zeros, compressed by gzip."""
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
