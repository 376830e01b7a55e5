"""Cost of the shares of evidence on cues in an exported file, relative to plain logits.

python benchmarks/cue_shares.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import onnxruntime
from _timing import environment, interleaved, table

from export.exporter import export_model
from export.source import Source
from proxy_keras import build_model, find_cues

CLUSTERS = 96
IMAGES = 64
THREADS = 1
PLAIN = "logits only"


def cost(name: str, size: int, batch: int, rounds: int, folder: Path) -> str:
    """Measure a network with its cues; its weights are random, which takes the same time."""
    keras.utils.set_random_seed(0)
    model = build_model(name, num_classes=10, image_size=size)
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, [IMAGES, 8, 8, 3])
    images = blocks.repeat(size // 8, axis=1).repeat(size // 8, axis=2).astype(np.uint8)
    cues = find_cues(model, images, clusters=CLUSTERS, batch_size=16, verbose=0)
    cues.tick(cues.shown[:3])
    source = Source(model, name, [str(k) for k in range(10)], (size, size), None, None, None)
    kinds = {
        PLAIN: {"explain": "none"},
        "cues": {"explain": "none", "cues": cues},
        "grad_cam": {"explain": "grad_cam"},
        "grad_cam and cues": {"explain": "grad_cam", "cues": cues},
    }
    calls, sizes = {}, {}
    for kind, options in kinds.items():
        # Flat heatmaps of a network with random weights may differ more than the limit.
        file = export_model(source, folder / f"{kind}.onnx", tolerance=1.0, **options).file
        calls[kind], sizes[kind] = _run(file, images[:batch]), file.stat().st_size / 1e6
    times = interleaved(calls, rounds=rounds, warm_up=2)
    plain = times[PLAIN]
    rows = [
        [
            kind,
            f"{batch / t.wall_s:.1f}",
            f"{t.wall_s / plain.wall_s:.3f}",
            f"{t.cpu_s / plain.cpu_s:.3f}",
            f"{sizes[kind]:.1f}",
        ]
        for kind, t in times.items()
    ]
    found = len(cues.tree.clusters.counts)
    title = f"{name}, {size} px, {found} clusters, batch {batch}, medians of {rounds} rounds"
    return table(title, rows, ["outputs", "images/s", "wall x", "CPU x", "MB"])


def _run(file: Path, images: np.ndarray) -> Callable[[], object]:
    """Return a call that runs a file on images."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"image": images})


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the small network only")
    quick = parser.parse_args().quick
    print(environment())
    with tempfile.TemporaryDirectory() as made:
        print(cost("resnet20", 32, 8, 400, Path(made)), flush=True)
        if not quick:
            print(cost("resnet50", 224, 8, 25, Path(made)), flush=True)


if __name__ == "__main__":
    main()
