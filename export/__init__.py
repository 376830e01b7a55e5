"""Export of a trained classifier to an ONNX file that returns classes and a heatmap."""

from export.exporter import Exported, export_model
from export.source import Source, open_source

__all__ = ["Exported", "Source", "export_model", "open_source"]
