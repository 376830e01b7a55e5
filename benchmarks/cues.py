"""Cost of finding cues, against a plain forward pass over the same images.

python benchmarks/cues.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import time
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from _timing import environment, interleaved, table
from numpy.typing import NDArray

from proxy_keras import build_model, find_cues
from proxy_keras.cues import find
from proxy_keras.cues.cell_reader import CellReader

BATCH = 32


class ClusteringTime:
    """CPU seconds in the clustering of cells, which does not grow with the pass over the data."""

    def __init__(self) -> None:
        self._cluster = find.cluster_cells
        self.seconds: list[float] = []
        find.cluster_cells = self  # type: ignore[assignment]

    def __call__(self, *args: object, **options: object) -> object:
        start = time.process_time()
        found = self._cluster(*args, **options)  # type: ignore[arg-type]
        self.seconds.append(time.process_time() - start)
        return found


def _images(count: int, size: int) -> NDArray[np.uint8]:
    """Return smooth random images, so that their cells differ."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 4, 4, 3)).astype(np.float32)
    return np.concatenate(
        [
            tf.image.resize(coarse[start : start + 100], (size, size), "bicubic")
            .numpy()
            .clip(0, 255)
            .astype(np.uint8)
            for start in range(0, count, 100)
        ]
    )


def compare(name: str, size: int, count: int, rounds: int, clustering: ClusteringTime) -> str:
    """Compare finding cues with a compiled forward pass over the same images."""
    keras.utils.set_random_seed(0)
    model, images = build_model(name, num_classes=10, image_size=size), _images(count, size)
    forward = tf.function(lambda batch: model(batch, training=False), autograph=False)

    def forward_pass() -> None:
        for start in range(0, count, BATCH):
            forward(tf.constant(images[start : start + BATCH].astype(np.float32))).numpy()

    def found() -> None:
        find_cues(model, images, batch_size=BATCH, verbose=0)

    clustering.seconds.clear()
    times = interleaved({"forward pass": forward_pass, "find_cues": found}, rounds=rounds)
    cluster_s = float(np.median(clustering.seconds))
    plain = times["forward pass"].cpu_s
    rows = []
    for what, cpu in (
        ("forward pass", plain),
        ("find_cues", times["find_cues"].cpu_s),
        ("find_cues without clustering", times["find_cues"].cpu_s - cluster_s),
    ):
        target = "<= 1.2" if what.endswith("clustering") else ""
        rows.append([what, f"{cpu:.2f} s", f"{cpu / plain:.3f}", target])
    title = f"Cues: {name}, {size} px, {count} images, medians of {rounds}"
    return table(title, rows, ["what", "CPU", "ratio", "target"])


def extrapolate(name: str, size: int, count: int, rounds: int, total: int) -> str:
    """State the cost of `total` images from the measured parts, on `count` images."""
    keras.utils.set_random_seed(0)
    model, images = build_model(name, num_classes=1000, image_size=size), _images(count, size)
    forward = tf.function(lambda batch: model(batch, training=False), autograph=False)
    batches = [images[start : start + BATCH] for start in range(0, count, BATCH)]
    start = time.process_time()
    reader = CellReader(model)
    cells = [reader.read(batch) for batch in batches]
    features = np.concatenate(
        [part.features[part.evidence >= find.EVIDENCE_FROM] for part in cells]
    )
    sample = max(find.SMALLEST_SAMPLE, round(find.SAMPLE * total))
    kept = min(sample, find.KEPT_BYTES // cells[0].features[0].nbytes)
    rng = np.random.default_rng(0)
    centroids = features[rng.choice(len(features), find.MOST_AUTO_CLUSTERS, replace=False)]
    reader.nearest(batches[0], centroids)
    first = time.process_time() - start
    times = interleaved(
        {
            "forward": lambda: [
                forward(tf.constant(batch.astype(np.float32))).numpy() for batch in batches
            ],
            "read": lambda: [reader.read(batch) for batch in batches],
            "nearest": lambda: [reader.nearest(batch, centroids) for batch in batches],
            "assign": lambda: [reader.assign(part, centroids) for part in cells],
        },
        rounds=rounds,
    )
    # As many different cells as the sample of all images would have.
    most = find.SAMPLE_BYTES // features[0].nbytes
    rows = rng.choice(len(features), min(len(features) * sample // count, most))
    hot = features[rows] + rng.normal(size=[len(rows), 1]).astype(np.float32) * 1e-3
    hot /= np.linalg.norm(hot, axis=1, keepdims=True)
    wall, cpu = time.perf_counter(), time.process_time()
    find.cluster_cells(hot, find.MOST_AUTO_CLUSTERS, seed=0)
    clustering = time.perf_counter() - wall, time.process_time() - cpu
    # The images of the first pass, compiling included, are counted below.
    compiling = max(first - times["read"].cpu_s, 0.0)
    lines = []
    for clock, cluster_s in zip(("wall", "CPU"), clustering, strict=True):
        each = {
            what: (t.wall_s if clock == "wall" else t.cpu_s) / count for what, t in times.items()
        }
        passes = sample * each["read"] + kept * each["assign"] + (total - kept) * each["nearest"]
        plain = total * each["forward"]
        lines.append(
            [
                clock,
                f"{plain:.0f} s",
                f"{compiling:.1f} s",
                f"{passes:.0f} s",
                f"{(compiling + passes) / plain:.3f}",
                f"{cluster_s:.1f} s",
                f"{compiling + passes + cluster_s:.0f} s",
            ]
        )
    title = (
        f"Extrapolated from {count} images: {name}, {size} px, {total:,} images, "
        f"{len(hot):,} sampled cells, {find.MOST_AUTO_CLUSTERS} clusters"
    )
    header = ["", "forward pass", "compiling", "passes", "ratio (<= 1.2)", "clustering", "in all"]
    return table(title, lines, header)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images and rounds")
    quick = parser.parse_args().quick
    print(environment())
    clustering = ClusteringTime()
    rounds = 2 if quick else 3
    print(compare("resnet20", 32, 1000 if quick else 10_000, rounds, clustering))
    print(compare("resnet50", 224, 64 if quick else 192, rounds, clustering))
    print(extrapolate("resnet50", 224, 64 if quick else 128, rounds, 10_000))


if __name__ == "__main__":
    warnings.simplefilter("ignore", UserWarning)
    main()
