"""Turns a trained classifier into an ONNX file that answers with a class and its heatmap."""

from export.exporter import Exported, export_model
from export.source import Source, open_source

__all__ = ["Exported", "Source", "export_model", "open_source"]
