"""The gradient of a classifier's head, in operations that convert to ONNX."""

from export.vjp.head import Head, Purpose

__all__ = ["Head", "Purpose"]
