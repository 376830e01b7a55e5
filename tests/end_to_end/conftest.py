"""Small data sets for end-to-end tests, and a way to run the real commands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.commands import environment


@pytest.fixture(scope="session")
def run_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs `python WORDS...` and returns its code and output.

    It takes seconds more than `commands.run`, and shows that the command starts by itself.
    """

    def run(*words: object, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *map(str, words)],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An npz file of 240 + 60 images of 16 px: a bright square in one of three corners."""
    draw = np.random.default_rng(0)
    arrays = {}
    for name, n in (("train", 240), ("test", 60)):
        images = draw.integers(0, 120, (n, 16, 16, 3))
        labels = np.arange(n) % 3
        for image, label in zip(images, labels, strict=True):
            y, x = ((0, 0), (0, 10), (10, 0))[label]
            image[y : y + 6, x : x + 6] += 90
        arrays[f"x_{name}"] = images.astype(np.uint8)
        arrays[f"y_{name}"] = labels
    path = tmp_path_factory.mktemp("data") / "squares.npz"
    np.savez(path, classes=np.array(["nw", "ne", "sw"]), **arrays)
    return path
