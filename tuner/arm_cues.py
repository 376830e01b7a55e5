"""`python -m tuner.arm_cues`: find cues in a finished run, and tick those outside the objects.

A study calls it for arms with `cues: arm:NAME`. The folder of the cues gets a `metrics.json` too:
the time that it took, and how many cues are ticked, which can be none.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proxy_keras.io.any_text import allow_any_text
from proxy_keras.io.atomic_files import write_text_atomically
from proxy_keras.io.extras import MissingExtra
from proxy_keras.io.quiet_start import start_quietly
from proxy_keras.settings import ProxyConfig, TrainConfig
from proxy_keras.settings.proxy_config import OUTSIDE


def find(config: TrainConfig, run: Path, folder: Path, *, verbose: int) -> dict[str, Any]:
    """Find the cues of a run's network in its training images, tick them, and save them.

    Args:
        config: The settings of the run, with `cue_outside`, `object_share` and `target_layer`.
        run: The run folder, with the trained network and the split.
        folder: The folder of the cues.
        verbose: 1: progress bars; 0: none.

    Returns:
        The content of `metrics.json`: `ticked`, `known_objects`, `seconds` and `cpu_seconds`.

    Raises:
        MissingExtra: scikit-learn is not installed.
        ValueError, OSError: The run, its data or its network cannot be used, or no object is known.
    """
    import keras

    from proxy_keras.io.saved_model import open_saved
    from proxy_keras.proxy.outside_cues import OutsideCues
    from proxy_keras.training.determinism import set_determinism
    from proxy_keras.training.known_objects import known_objects
    from proxy_keras.training.run import load_data

    set_determinism(config)
    keras.utils.set_random_seed(config.seed)
    (folder / "metrics.json").unlink(missing_ok=True)
    asked = config.proxy or ProxyConfig(cues=OUTSIDE)
    settings = ProxyConfig(
        cues=OUTSIDE,
        cue_outside=asked.cue_outside,
        object_share=asked.object_share,
        target_layer=asked.target_layer,
    )
    data = load_data(config, run, progress=bool(verbose))
    model = open_saved(run).model
    start, cpu_start = time.perf_counter(), time.process_time()
    objects = known_objects(config, data, verbose=verbose)
    batch_size = int(config.batch_size)
    finder = OutsideCues(data.train, settings, objects, batch_size=batch_size, verbose=verbose)
    cues = finder.find(model)
    cues.save(folder)
    metrics = {
        "ticked": len(cues.ticked),
        "known_objects": int(cues.images.has_object.sum()),
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu_start,
    }
    write_text_atomically(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    return metrics


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m tuner.arm_cues", description="Find the cues of a run, for a study."
    )
    parser.add_argument("--config", type=Path, required=True, help="settings of the run and cues")
    parser.add_argument("--run", type=Path, required=True, help="the finished run")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the cues")
    parser.add_argument("--resume", action="store_true", help="replace what is in the folder")
    parser.add_argument("--quiet", action="store_true", help="show no progress bars")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 2 bad arguments or data."""
    allow_any_text()
    given = build_parser().parse_args(arguments)
    start_quietly(arguments)
    try:
        if not given.resume and given.out.exists() and any(given.out.iterdir()):
            raise ValueError(f"{given.out} is not empty. Add --resume, or choose another --out.")
        config = TrainConfig.load(given.config)
        metrics = find(config, given.run, given.out, verbose=int(not given.quiet))
    except (MissingExtra, ValueError, OSError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{metrics['ticked']} cues ticked: {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
