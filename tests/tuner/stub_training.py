"""Stub training without TensorFlow: quick, resumable, with results that depend on the settings.

With this folder on PYTHONPATH: python -m stub_training --config FILE --out DIR --resume --quiet
"""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from pathlib import Path

from proxy_keras.io import full_disk
from proxy_keras.io.atomic_files import write_text_atomically
from proxy_keras.settings import TrainConfig

EPOCH_S = 0.05


def value(config: TrainConfig, epoch: int) -> float:
    """Return the validation accuracy, which rises with epochs and near a threshold of 0.6."""
    assert config.proxy is not None
    return round(0.9 - (config.proxy.threshold - 0.6) ** 2 - 0.1 / epoch, 6)


def main() -> int:
    """Pretend to train."""
    words = sys.argv[1:]
    config = TrainConfig.load(Path(words[words.index("--config") + 1]))
    folder = Path(words[words.index("--out") + 1])
    assert config.proxy is not None
    if config.proxy.method == "lime":
        print("error: this network cannot be explained so")
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "config.json").exists():
        config.save(folder / "config.json")
    assert TrainConfig.load(folder / "config.json") == config, "resumed with other settings"
    history = folder / "history.csv"
    rows = list(csv.DictReader(history.open())) if history.exists() else []
    # Each epoch that is really trained, in the order of the clock: two trainings at a time, or
    # epochs trained again, would show.
    with (folder / "epochs.txt").open("a") as trained:
        for epoch in range(len(rows) + 1, config.epochs + 1):
            time.sleep(EPOCH_S)
            if epoch == 2 and Path(os.environ.get("STUB_FULL_DISK", "")).is_file():
                print("error: the disk is full")
                return full_disk.EXIT_CODE
            trained.write(f"{epoch} {os.getpid()}\n")
            trained.flush()
            logs = {"val_accuracy": value(config, epoch), "val_loss": 1 - value(config, epoch)}
            rows.append({"epoch": str(epoch), **{k: f"{v:.17g}" for k, v in logs.items()}})
            text = "\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)])
            write_text_atomically(history, text + "\n")
    result = {"seconds": 1.5, "op_determinism": "on" if config.determinism else "off"}
    write_text_atomically(folder / "metrics.json", json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
