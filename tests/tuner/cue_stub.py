"""Stub of `tuner.arm_cues` without TensorFlow: ticks one cue per seed, so none with seed 0.

With this folder on PYTHONPATH: python -m cue_stub --run RUN --config FILE --out DIR ...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from proxy_keras.settings import TrainConfig


def main() -> int:
    """Write the files of a folder of cues that a study reads."""
    words = sys.argv[1:]
    config, run, folder = (
        Path(words[words.index(option) + 1]) for option in ("--config", "--run", "--out")
    )
    if not (run / "metrics.json").exists():
        print(f"error: {run} is not finished")
        return 2
    seed = TrainConfig.load(config).seed
    if seed == 7:
        print("error: no such luck")
        return 3
    folder.mkdir(parents=True)
    metrics = {"ticked": seed, "known_objects": 5, "seconds": 4.0, "cpu_seconds": 3.0}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return 0


if __name__ == "__main__":
    sys.exit(main())
