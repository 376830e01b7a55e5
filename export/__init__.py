"""Export of a trained classifier to an ONNX file that returns classes and a heatmap."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from export.exporter import Exported, export_model
    from export.source import Source, open_source

__all__ = ["Exported", "Source", "export_model", "open_source"]

_HOMES = {
    "Exported": "exporter",
    "Source": "source",
    "export_model": "exporter",
    "open_source": "source",
}


# `python -m export` imports this first, and names the extra when ONNX is missing.
def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
