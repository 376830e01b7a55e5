"""Difference of exported files from Keras, cost of the export, and cost of the heatmap.

python benchmarks/onnx_export.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import onnxruntime
from _timing import environment, interleaved, table

from export.heatmap import METHODS, NONE
from proxy_keras import build_model
from proxy_keras.models import names

POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")
SMALL = ("resnet20",)
THREADS = 2


def _saved(name: str, size: int, policy: str, folder: Path, classes: int = 10) -> Path:
    """Save a seeded model of the library under a dtype policy; return the file."""
    keras.mixed_precision.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    file = folder / f"{name}_{policy}.keras"
    build_model(name, num_classes=classes, image_size=size).save(file)
    keras.mixed_precision.set_dtype_policy("float32")
    return file


def _exported(model: Path, file: Path, *options: str) -> tuple[dict, float, float]:
    """Export in a separate process; return the report, seconds, and peak memory in GB."""
    words = [sys.executable, "-m", "export", model, "--out", file, "--tolerance", "1", *options]
    start = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise RuntimeError(errors.decode())
    report = json.loads(file.with_suffix(".report.json").read_text(encoding="utf-8"))
    return report, time.perf_counter() - start, usage.ru_maxrss / 1e6


def _worst(report: dict, output: str) -> str:
    values = [d["value"] for d in report["differences"] if d["output"].startswith(output)]
    return f"{max(values):.1e}" if values else ""


def parity(models: list[str], folder: Path) -> str:
    """Compare every model under every policy, with Grad-CAM."""
    rows = []
    for name in models:
        size = 32 if name in SMALL else 224
        for policy in POLICIES:
            file = folder / "parity.onnx"
            model = _saved(name, size, policy, folder)
            report, seconds, memory = _exported(model, file)
            rows.append(
                [
                    f"{name}, {size} px",
                    policy,
                    _worst(report, "logits"),
                    _worst(report, "heatmap"),
                    f"{report['same_class']:.0%}",
                    f"{seconds:.0f}",
                    f"{memory:.1f}",
                ]
            )
            model.unlink()
            file.unlink()
    header = ["model", "policy", "logits", "heatmap", "same class", "seconds", "GB"]
    title = "Largest relative difference from float32 Keras, grad_cam; target: 1e-5; < 6 GB"
    return table(title, rows, header)


def methods(models: list[str], folder: Path) -> str:
    """Compare every method on every model, in float32."""
    rows = []
    for name in models:
        model = _saved(name, 224 if name.startswith("vit") else 32, "float32", folder)
        row = [name]
        for method in METHODS:
            if method == "layer_score_cam" and name.startswith("vit"):
                row.append("not run")
                continue
            report, _, _ = _exported(model, folder / "m.onnx", "--explain", method)
            row.append(_worst(report, "heatmap"))
        rows.append(row)
    return table("Largest difference of heatmaps from the gradient tape", rows, ["model", *METHODS])


def _run(file: Path, images: np.ndarray) -> Callable[[], object]:
    """Return a call that runs a file on images."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"image": images})


def cost(name: str, size: int, batch: int, rounds: int, folder: Path, classes: int) -> str:
    """Measure the cost of a heatmap relative to logits only, by method."""
    model = _saved(name, size, "float32", folder, classes=classes)
    images = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), np.uint8)
    calls = {}
    for method in (NONE, *METHODS):
        file = folder / f"{name}_{method}.onnx"
        _exported(model, file, "--explain", method)
        calls[method] = _run(file, images)
    times = interleaved(calls, rounds=rounds, warm_up=2)
    plain = times[NONE]
    rows = [
        [
            method,
            f"{batch / t.wall_s:.1f}",
            f"{t.wall_s / plain.wall_s:.3f}",
            f"{t.cpu_s / plain.cpu_s:.3f}",
        ]
        for method, t in times.items()
    ]
    title = f"Heatmap relative to logits only: {name}, {size} px, {classes} classes, batch {batch}"
    return table(title, rows, ["explain", "images/s", "wall x", "CPU x"])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small models, few rounds")
    quick = parser.parse_args().quick
    print(environment())
    models = ["resnet20", "resnet18"] if quick else list(names())
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        print(parity(models, folder), flush=True)
        print(methods(models, folder), flush=True)
        print(cost("resnet20", 32, 8, 10 if quick else 40, folder, 10), flush=True)
        if not quick:
            for classes in (10, 120, 1000):
                print(cost("resnet50", 224, 8, 15, folder, classes), flush=True)


if __name__ == "__main__":
    main()
