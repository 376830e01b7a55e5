"""The API reference: the OpenAPI document as one HTML page without scripts."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; }
article { border-top: 1px solid #8886; padding: .75rem 0; }
h3 { font: 600 1rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere; margin: 0; }
h3 span { display: inline-block; min-width: 3.5rem; color: #2563eb; }
p { margin: .35rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; margin: .5rem 0; }
th, td { border-bottom: 1px solid #8884; padding: .25rem .5rem; text-align: left; }
code, pre { font: .8125rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { overflow: auto; padding: .75rem; background: #8881; border-radius: .5rem; }
"""

STYLE_HASH = f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
"""Allows only this style in a Content-Security-Policy."""


def reference_page(document: dict[str, Any]) -> str:
    """Return an HTML page with all routes, parameters and responses of an OpenAPI document."""
    info = document["info"]
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["Server"])[0]
            groups.setdefault(tag, []).append(_operation(method, path, operation))
    routes = "".join(f"<h2>{escape(tag)}</h2>{''.join(parts)}" for tag, parts in groups.items())
    schemas = "".join(
        f"<article><h3>{escape(name)}</h3>"
        f"<pre>{escape(json.dumps(schema, indent=1))}</pre></article>"
        for name, schema in document.get("components", {}).get("schemas", {}).items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info.get('description', ''))}</p>"
        '<p>Machine-readable: <a href="openapi.json">openapi.json</a></p>'
        f"{routes}<h2>Schemas</h2>{schemas}</body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parameters = [
        (
            f"<code>{escape(one['name'])}</code>",
            escape(one["in"]),
            _type(one["schema"]),
            escape(one.get("description", "")),
        )
        for one in operation.get("parameters", [])
    ]
    body = operation.get("requestBody", {})
    contents = ", ".join(f"<code>{escape(kind)}</code>" for kind in body.get("content", {}))
    answers = [
        (escape(status), escape(answer["description"]), _contents(answer))
        for status, answer in operation["responses"].items()
    ]
    return (
        f"<article><h3><span>{escape(method.upper())}</span>{escape(path)}</h3>"
        f"<p>{escape(operation.get('description', ''))}</p>"
        + (_table(("Parameter", "In", "Type", ""), parameters) if parameters else "")
        + (f"<p>Body: {contents}. {escape(body.get('description', ''))}</p>" if body else "")
        + _table(("Status", "Meaning", "Body"), answers)
        + "</article>"
    )


def _contents(answer: dict[str, Any]) -> str:
    return ", ".join(
        f"<code>{escape(kind)}</code> {_type(content.get('schema', {}))}"
        for kind, content in answer.get("content", {}).items()
    )


def _type(schema: dict[str, Any]) -> str:
    """Describe a schema in a few words."""
    if "$ref" in schema:
        return escape(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    limits = [f"{sign} {schema[key]}" for key, sign in _LIMITS.items() if key in schema]
    default = [f"default {json.dumps(schema['default'])}"] if "default" in schema else []
    return escape(", ".join([str(schema.get("type", "anything")), *limits, *default]))


_LIMITS = {"minimum": ">=", "maximum": "<="}


def _table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{title}</th>" for title in titles)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
