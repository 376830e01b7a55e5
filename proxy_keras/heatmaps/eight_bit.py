"""Heatmaps in 8 bits, as the stores keep them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEVER_HOT = 2.0
"""A threshold above all heat. Not infinity, which TensorFlow's check of numerics stops at."""


def quantise(heatmaps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return heatmaps in [0, 1] in steps of 1/255: uint8."""
    return np.rint(heatmaps * 255.0).astype(np.uint8)


def dequantise(heatmaps: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what `quantise` kept, as float32 in [0, 1]."""
    return heatmaps.astype(np.float32) / np.float32(255.0)
