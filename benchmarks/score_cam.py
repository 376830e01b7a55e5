"""Score-CAM and its faster variants: time, memory, and similarity of maps on a trained network.

python benchmarks/score_cam.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import psutil
from _timing import environment, interleaved, table

from proxy_keras import ImageData, build_model
from proxy_keras.attribution import Explainer
from proxy_keras.metrics import spearman
from proxy_keras.training.count_epochs import CountEpochs
from proxy_keras.training.optimizer import make_optimizer

EXACT = "score_cam"
REFERENCE = "tf-keras-vis Scorecam"


def _explainers(model: keras.Model) -> dict[str, Explainer]:
    return {
        EXACT: Explainer(model, EXACT),
        REFERENCE: Explainer(model, EXACT, engine="tf-keras-vis"),
        "faster_score_cam": Explainer(model, "faster_score_cam"),
        "layer_score_cam": Explainer(model, "layer_score_cam"),
    }


def times(name: str, size: int, count: int, rounds: int, *, with_reference: bool) -> str:
    """Compare the time of each variant with that of exact Score-CAM."""
    keras.utils.set_random_seed(0)
    model = build_model(name, num_classes=10, image_size=size)
    images = np.random.default_rng(0).uniform(0, 255, (count, size, size, 3)).astype(np.float32)
    functions = {
        what: lambda explainer=explainer: explainer.heatmaps(images)
        for what, explainer in _explainers(model).items()
        if with_reference or what != REFERENCE
    }
    for what in ("faster_score_cam", "layer_score_cam"):
        functions[what]()
    measured = interleaved(functions, rounds=rounds, warm_up=0)
    exact = measured[EXACT]
    targets = {"layer_score_cam": ">= 50x", REFERENCE: "<= 1x"}
    rows = [
        [
            what,
            f"{t.cpu_s / count:.2f} s",
            f"{exact.cpu_s / t.cpu_s:.2f}x",
            f"{exact.wall_s / t.wall_s:.2f}x",
            targets.get(what, ""),
        ]
        for what, t in measured.items()
    ]
    header = ["what", "CPU per image", "faster by CPU", "faster by wall", "target"]
    return table(f"{name}, {size} px, {count} images, {rounds} rounds", rows, header)


def memory(name: str, size: int) -> str:
    """Measure the peak memory of each variant for one image, each in its own process."""
    rows = []
    for what in (EXACT, REFERENCE, "layer_score_cam"):
        words = [sys.executable, __file__, "--peak", what, name, str(size)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        rows.append([what, f"{float(done.stdout.split()[-1]):.0f} MB"])
    return table(f"Memory for one image beyond a forward pass: {name}, {size} px", rows, ["", ""])


def peak(what: str, name: str, size: int) -> None:
    """Print the peak memory of one explanation beyond a forward pass, in MB."""
    keras.utils.set_random_seed(0)
    model = build_model(name, num_classes=10, image_size=size)
    images = np.random.default_rng(0).uniform(0, 255, (1, size, size, 3)).astype(np.float32)
    explainer = _explainers(model)[what]
    explainer.logits(images)
    process, is_done, seen = psutil.Process(), threading.Event(), [0]
    before = process.memory_info().rss

    def watch() -> None:
        while not is_done.wait(0.005):
            seen[0] = max(seen[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    explainer.heatmaps(images)
    is_done.set()
    watcher.join()
    print(max(0, seen[0] - before) / 2**20)


def _trained(epochs: int) -> tuple[keras.Model, ImageData, float]:
    """Return a ResNet-20 trained on digits, the data, and its test accuracy."""
    keras.utils.set_random_seed(0)
    data = ImageData.from_source("digits", seed=0, progress=False)
    model = build_model("resnet20", num_classes=data.num_classes, image_size=data.image_size)
    steps = epochs * -(-len(data.train) // 32)
    model.compile(
        make_optimizer(lr=1e-3, total_steps=steps),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        data.train.batches(32),
        epochs=epochs,
        verbose=0,
        shuffle=False,
        callbacks=[CountEpochs(data.train)],
    )
    return model, data, float(model.evaluate(data.test.batches(64), verbose=0)[1])


def correlation(epochs: int, count: int) -> str:
    """Compare the maps with those of exact Score-CAM on test images of a trained network."""
    model, data, accuracy = _trained(epochs)
    _, images, _ = next(data.test.originals(count).as_numpy_iterator())
    maps = {what: explainer.heatmaps(images) for what, explainer in _explainers(model).items()}
    flat = {what: heat.reshape(len(heat), -1) for what, heat in maps.items()}
    rows = []
    for what, heat in flat.items():
        if what == EXACT:
            continue
        linear = [np.corrcoef(a, b)[0, 1] for a, b in zip(heat, flat[EXACT], strict=True)]
        ranks = spearman(maps[what], maps[EXACT])
        rows.append(
            [what, f"{np.mean(linear):.3f}", f"{np.min(linear):.3f}", f"{np.mean(ranks):.3f}"]
        )
    title = (
        f"Correlation with exact Score-CAM: resnet20 trained on digits (test accuracy "
        f"{accuracy:.1%}), {count} test images, {maps[EXACT].shape[1]}x{maps[EXACT].shape[2]} cells"
    )
    return table(title, rows, ["what", "Pearson, mean", "lowest", "Spearman, mean"])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images and rounds")
    parser.add_argument(
        "--peak", nargs=3, metavar=("WHAT", "NAME", "SIZE"), help="internal: measure one variant"
    )
    given = parser.parse_args()
    if given.peak:
        return peak(given.peak[0], given.peak[1], int(given.peak[2]))
    print(environment())
    print(times("resnet18", 32, 2 if given.quick else 4, 3, with_reference=True))
    print(memory("resnet18", 64 if given.quick else 224))
    print(correlation(3 if given.quick else 12, 16 if given.quick else 64))
    if not given.quick:
        print(times("resnet50", 224, 1, 1, with_reference=False))
    return None


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)
    main()
