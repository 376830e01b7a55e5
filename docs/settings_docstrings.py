"""A griffe extension that fills the declared settings into the API pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import griffe

# The packages of the repository, without an installation.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from proxy_keras.settings import ProxyConfig, arguments_text, declared


class SettingsDocstrings(griffe.Extension):
    """Fills in the settings of `ProxyConfig`: `<settings>` in docstrings, and default values.

    The API pages are made from the source, which refers to the declarations.
    """

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Fill in the docstring and the parameters of a class."""
        if cls.docstring is None or "<settings>" not in cls.docstring.value:
            return
        text = arguments_text(ProxyConfig, indent=4)
        cls.docstring.value = cls.docstring.value.replace("<settings>", text)
        for name, setting in declared(ProxyConfig).items():
            if str(cls.parameters[name].default) == f"ProxyConfig.{name}":
                cls.parameters[name].default = repr(setting.default)
