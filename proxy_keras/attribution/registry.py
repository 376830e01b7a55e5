"""Attribution methods by name, imported when they are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from proxy_keras.attribution.catalogue import find, make_options
from proxy_keras.attribution.method import Method


def get(name: str) -> type[Method]:
    """Return the class of the method with this name.

    Raises:
        ValueError: There is no such method; the message lists the known ones.
    """
    module, _, attribute = find(name).location.partition(":")
    return getattr(import_module(module, __package__), attribute)


def make(name: str, options: dict[str, Any]) -> Method:
    """Return a method with these options.

    Raises:
        ValueError: Unknown method, unknown option, or an option outside its range.
    """
    make_options(name, options)
    return get(name)(**options)
