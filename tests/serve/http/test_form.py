"""Tests of serve/routes/form.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.routes.form import FormError, file_of_form

TYPE = "multipart/form-data; boundary=edge"


def part(content: bytes, *, file: bool = True, name: str = "file") -> bytes:
    disposition = f'form-data; name="{name}"' + ('; filename="cat.jpg"' if file else "")
    return b"--edge\r\nContent-Disposition: %b\r\n\r\n%b\r\n" % (disposition.encode(), content)


def test_the_one_file_is_found_among_other_fields() -> None:
    body = part(b"text", file=False) + part(b"\x00image\r\n\xff", name="any") + b"--edge--\r\n"
    assert file_of_form(body, TYPE) == b"\x00image\r\n\xff"


@given(content=st.binary(max_size=200).filter(lambda content: b"\r\n--edge" not in content))
def test_every_content_comes_back(content: bytes) -> None:
    assert file_of_form(part(content) + b"--edge--\r\n", TYPE) == content


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (part(b"text", file=False) + b"--edge--\r\n", "It has 0"),
        (part(b"a") * 2 + b"--edge--\r\n", "It has 2"),
        (part(b"a"), "its end is missing"),
        (part(b"a")[:-3], "its end is missing"),
        (b"", "its end is missing"),
        (b"no form at all", "malformed"),
        (part(b"x", file=False) * 33 + b"--edge--\r\n", "at most 32 parts"),
        (b"--edge\r\n" + b"X: y\r\n" * 10_000 + b"\r\n\r\n--edge--\r\n", "malformed"),
    ],
)
def test_another_form_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(FormError, match=message):
        file_of_form(body, TYPE)


@pytest.mark.parametrize("header", ["Content-Disposition", "content-disposition"])
def test_an_extended_file_name_alone_is_named(header: str) -> None:
    name = "form-data; name=file; filename*=UTF-8''M%C3%BCller.jpg"
    body = f"--edge\r\n{header}: {name}\r\n\r\nimage\r\n--edge--\r\n".encode()
    with pytest.raises(FormError, match=r"only a `filename\*`, which RFC 7578 .*filename="):
        file_of_form(body, TYPE)
    both = body.replace(b"filename*", b"filename=a.jpg; filename*")
    assert file_of_form(both, TYPE) == b"image"


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 1000,
    ],
)
def test_a_form_needs_a_boundary_of_its_own(content_type: str) -> None:
    with pytest.raises(FormError):
        file_of_form(part(b"a") + b"--edge--\r\n", content_type)
