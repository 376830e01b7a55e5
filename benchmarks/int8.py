"""CPU time and accuracy of a trained model in int8, compared with fp32.

python benchmarks/int8.py [--quick] [RUN]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import onnx
import onnxruntime
from _timing import environment, interleaved, table

from export.exporter import export_model
from export.reduced_precision import accuracy
from export.source import open_source
from proxy_keras.data.data_split import DataSplit

THREADS, BATCH = 2, 8
TRAIN = "--data digits --model resnet18 --no-proxy --flip 0 --rotation 0 --precision float32"


def _trained(folder: Path, epochs: int) -> Path:
    words = ["-m", "proxy_keras.train", *TRAIN.split(), "--epochs", str(epochs), "--quiet"]
    subprocess.run([sys.executable, *words, "--out", str(folder / "run")], check=True)
    return folder / "run"


def _batches(subset: DataSplit):
    for _, images, labels in subset.originals(BATCH).as_numpy_iterator():
        yield images.astype(np.uint8), labels


def _call(file: Path, images: np.ndarray):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"image": images})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few epochs and rounds")
    parser.add_argument("run", type=Path, nargs="?", help="a run folder (default: train one)")
    given = parser.parse_args()
    print(environment())

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        run = given.run or _trained(folder, 2 if given.quick else 8)
        source = open_source(run, needs_data=True, progress=False)
        data = source.data_for("int8 is measured on images.")
        images = next(_batches(data.test))[0]
        rows, calls = [], {}
        for precision in ("fp32", "int8"):
            file = folder / f"{precision}.onnx"
            export_model(source, file, precision=precision, max_drop=100)
            calls[precision] = _call(file, images)
        times = interleaved(calls, rounds=10 if given.quick else 50, warm_up=3)
        for precision, timing in times.items():
            file = folder / f"{precision}.onnx"
            rows.append(
                [
                    precision,
                    f"{file.stat().st_size / 1e6:.1f}",
                    f"{1000 * timing.cpu_s / BATCH:.2f}",
                    f"{timing.cpu_s / times['fp32'].cpu_s:.2f}",
                    f"{accuracy(onnx.load(file), _batches(data.val)):.2%}",
                    f"{accuracy(onnx.load(file), _batches(data.test)):.2%}",
                ]
            )
        size = source.image_size[0]
        title = f"{source.name}, {size} px, batch {BATCH}; target: <= 0.4 and <= 0.5 points lost"
        print(table(title, rows, ["precision", "MB", "CPU ms/image", "x", "val", "test"]))


if __name__ == "__main__":
    main()
