"""Short training runs of two classes of small images, for tests of methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.settings import DataConfig, TrainConfig
from proxy_keras.training import run as runs


def two_classes(path: Path) -> str:
    """Write an npz file of 100 + 40 images of 16 px in two classes, one brighter and rarer."""
    draw = np.random.default_rng(0)
    arrays: dict[str, Any] = {"classes": np.array(["dark", "bright"])}
    for name, count in (("train", 100), ("test", 40)):
        labels = (np.arange(count) % 5 == 0).astype(np.int64)
        images = draw.integers(0, 200, (count, 16, 16, 3)) + 20 * labels[:, None, None, None]
        arrays |= {f"x_{name}": images.astype(np.uint8), f"y_{name}": labels}
    np.savez(path, **arrays)
    return f"npz:{path}"


def settings(source: str, **options: Any) -> TrainConfig:
    """Return the settings of a run of two epochs that trains the last layer."""
    given: dict[str, Any] = {
        "data": DataConfig(source, val=0.2),
        "proxy": None,
        "model": "small_cnn",
        "freeze": True,
        "epochs": 2,
        "batch_size": 16,
        "lr": 0.01,
        "flip": 0.0,
        "rotation": 0.0,
        "precision": "float32",
    }
    return TrainConfig(**{**given, **options})


def trained(config: TrainConfig, folder: Path) -> tuple[list[NDArray[Any]], dict[str, Any]]:
    """Train, and return the weights and the metrics."""
    run = runs.prepare(config, folder, verbose=0)
    metrics = runs.train(run, verbose=0)
    return run.model.get_weights(), metrics
