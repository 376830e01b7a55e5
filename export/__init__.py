"""Export of a trained classifier to an ONNX file that returns classes and a heatmap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy_keras.io.lazy_names import lazy_names

if TYPE_CHECKING:
    from export.exporter import Exported, export_model
    from export.source import Source, open_source

__all__ = ["Exported", "Source", "export_model", "open_source"]

_MODULES = {
    "Exported": "exporter",
    "Source": "source",
    "export_model": "exporter",
    "open_source": "source",
}


# `python -m export` imports this first, and names the extra when ONNX is missing.
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
