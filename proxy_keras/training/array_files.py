"""Files of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def numbered(arrays: Sequence[NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """Return arrays under names in their order."""
    return {f"{number:05d}": array for number, array in enumerate(arrays)}


def save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name."""
    with path.open("wb") as file:
        np.savez(file, **arrays)


def load_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """Read what `save_arrays` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
