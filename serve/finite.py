"""Refusal of outputs that are NaN or infinite, which neither JSON nor a person can use."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

PROBLEM = "is not finite (NaN or infinity)"


class NotFiniteError(ValueError):
    """An output of the model is NaN or infinite for an image."""


def check_finite(outputs: Mapping[str, NDArray[np.float32] | None]) -> None:
    """Check the outputs for the images of one request.

    Args:
        outputs: Arrays [N, ...] by name of the output; None: the model does not have it.

    Raises:
        NotFiniteError: A value is NaN or infinite.
    """
    for name, array in outputs.items():
        if array is None:
            continue
        bad = np.flatnonzero(~np.isfinite(array).all(axis=tuple(range(1, array.ndim))))
        if len(bad):
            numbers = ", ".join(str(number) for number in bad[:5].tolist())
            more = ", ..." if len(bad) > 5 else ""
            which = f"image {numbers}{more} of {len(array)}" if len(array) > 1 else "this image"
            raise NotFiniteError(
                f"The model's output '{name}' {PROBLEM} for {which}. If it answers other images, "
                "this one is the cause; else export the model again, with --precision fp32."
            )
