"""Stub training for studies that simulates its results at once, without TensorFlow.

With this folder on PYTHONPATH: python -m study_stub --config FILE --out DIR --resume --quiet
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from proxy_keras.io.atomic_files import write_text_atomically
from proxy_keras.settings import TrainConfig


def accuracy(config: TrainConfig) -> float:
    """Return an accuracy: 3 points higher with guided proxies, and noise of 0.5."""
    effect = 0.0
    if config.proxy is not None and config.proxy.control is None:
        effect = 0.03
    text = f"{config.proxy} {config.augment}"
    noise = np.random.default_rng([config.seed, *text.encode()]).normal(0, 0.005)
    return round(0.8 + 0.01 * config.seed + effect + noise, 6)


def main() -> int:
    """Write the files of a run folder that a study reads."""
    words = sys.argv[1:]
    config = TrainConfig.load(Path(words[words.index("--config") + 1]))
    folder = Path(words[words.index("--out") + 1])
    folder.mkdir(parents=True, exist_ok=True)
    if "cutmix" in config.augment and config.seed == 1 and not (folder / "tried").exists():
        (folder / "tried").touch()
        print("error: out of luck")
        return 3
    config.save(folder / "config.json")
    made = 0 if config.proxy is None else 40
    about = {
        "split_sha256": "ab" * 32,
        "initial_weights_sha256": f"{config.seed:064d}",
        "optimizer_steps": 10 * config.epochs,
        "precision": "mixed_float16" if config.precision == "auto" else config.precision,
    }
    (folder / "run.json").write_text(json.dumps(about))
    shares = {"accuracy": accuracy(config), "loss": 0.5}
    metrics = {
        "val": shares,
        "test": shares,
        "seconds": 2.0,
        "cpu_seconds": 1.0,
        "op_determinism": "on" if config.determinism else "off",
        "proxies_made": made,
        "proxy_steps": [{"made": 40, "replaced": 0.25}, {"made": 0, "replaced": 0.0}][
            : 2 * bool(made)
        ],
    }
    write_text_atomically(folder / "metrics.json", json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
