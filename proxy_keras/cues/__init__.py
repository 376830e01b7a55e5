"""Cues: what a classifier looks at, told apart, and which of it is not the object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy_keras.io.lazy_names import lazy_names

if TYPE_CHECKING:
    from proxy_keras.cues.cues import Cues
    from proxy_keras.cues.facts import CueFacts
    from proxy_keras.cues.find import find_cues

__all__ = ["CueFacts", "Cues", "find_cues"]

_MODULES = {"CueFacts": "facts", "Cues": "cues", "find_cues": "find"}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
