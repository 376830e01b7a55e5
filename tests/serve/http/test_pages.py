"""Tests of serve/routes/pages.py and serve/routes/reference.py."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from serve.routes.reference import STYLE_HASH, reference_page

Connect = Callable[..., TestClient]


class Links(HTMLParser):
    """Collects the links and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for key, value in attrs if key in ("src", "href")]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_load_nothing_from_elsewhere_and_say_so(open_client: Connect, path: str) -> None:
    client = open_client()
    answer = client.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = Links()
    page.feed(answer.text)
    assert page.loaded
    for target in page.loaded:
        assert not re.match(r"(?i)[a-z]+:|//", target)
        assert client.get(f"/{target.removeprefix('/')}").status_code == 200


def test_parts_have_their_types_and_nothing_else_is_handed_out(open_client: Connect) -> None:
    client = open_client()
    assert client.get("/page/style.css").headers["content-type"].startswith("text/css")
    assert client.get("/page/script.js").headers["content-type"].startswith("text/javascript")
    for name in ("nothing.js", "..%2fapp.py", "%2e%2e/app.py", "__init__.py"):
        assert client.get(f"/page/{name}").status_code == 404


def test_a_page_is_compressed_when_the_browser_takes_it(open_client: Connect) -> None:
    client = open_client()
    plain = client.get("/", headers={"Accept-Encoding": "identity"})
    packed = client.get("/", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content


def test_the_reference_names_every_route_parameter_and_status(open_client: Connect) -> None:
    client = open_client()
    document = client.get("/openapi.json").json()
    text = html.unescape(client.get("/docs").text)
    assert STYLE_HASH in client.get("/docs").headers["content-security-policy"]
    for path, methods in document["paths"].items():
        assert path in text
        for operation in methods.values():
            assert operation["description"] in text
            for parameter in operation.get("parameters", []):
                assert parameter["name"] in text
    for schema in document["components"]["schemas"]:
        assert schema in text


def test_the_reference_escapes_what_it_is_given() -> None:
    operation = {
        "description": "<script>",
        "parameters": [{"name": "<b>", "in": "query", "schema": {"type": "integer", "minimum": 1}}],
        "responses": {"200": {"description": "a & b"}},
    }
    document = {"info": {"title": "<i>", "version": "1"}, "paths": {"/x": {"get": operation}}}
    text = reference_page(document)
    page = Links()
    page.feed(text)
    assert not {"script", "b", "i"} & set(page.tags)
    assert "&lt;b&gt;" in text
    assert "integer, &gt;= 1" in text
