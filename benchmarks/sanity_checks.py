"""Sanity checks of all attribution methods on a trained network.

python benchmarks/sanity_checks.py [--quick] [--methods grad_cam,saliency] [--out FILE.md]
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from _digit_networks import BATCH, IMAGE_SIZE, compiled, resnet, transformer
from _timing import environment, table
from numpy.typing import NDArray
from tqdm.auto import tqdm

from proxy_keras import metrics
from proxy_keras.attribution import names
from proxy_keras.data.decoy_digits import make_decoy_digits

# Perturbation methods use few copies, because the checks need about twenty maps per image.
OPTIONS: dict[str, dict[str, Any]] = {
    "rise": {"masks": 200},
    "lime": {"samples": 200},
    "sp_lime": {"samples": 200},
    "kernel_shap": {"samples": 200},
    "smooth_grad": {"samples": 10},
    "smooth_grad_squared": {"samples": 10},
    "var_grad": {"samples": 10},
    "gradient_shap": {"samples": 10},
    "integrated_gradients": {"steps": 20},
    "conductance": {"steps": 20},
}

TRAINING_IMAGES = 704

# Maps count as unchanged at or above the first rank correlation, as changed below the second.
UNCHANGED, CHANGED = 0.5, 0.9

CHECKS = {
    "top layer random": "the logits' layer is randomised",
    "all layers random": "every layer is randomised, from the logits down",
    "one layer random": "a single layer is randomised, mean over four layers",
    "labels random": "a twin trained on permuted labels",
    "another image": "the same class explained in another image",
    "shift taken back": "images shifted by 64, which the first layer compensates",
    "noise": "uniform noise of 2% of the range",
    "perturbed": "the worst of a few perturbations by at most 8 that keep the class",
}
# In the first checks, something else is explained: maps must change. In the others, they must not.
MUST_CHANGE = 5


@dataclass(frozen=True)
class Trained:
    """A network, its layers from the top, its twin trained on permuted labels, and test images."""

    layers: tuple[str, ...]
    model: keras.Model
    twin: keras.Model
    images: NDArray[np.float32]
    summary: str


NETWORKS = {"ResNet-20": (resnet, 15), "a small vision transformer": (transformer, 30)}
"""Networks to train, and their numbers of epochs."""

OF_TRANSFORMERS = ("attention_rollout",)


def train(name: str, count: int) -> Trained:
    """Train a network and its twin; keep `count` test images that it classifies correctly."""
    build_network, epochs = NETWORKS[name]
    data = make_decoy_digits(0, decoys=False, image_size=IMAGE_SIZE)
    images = data.x_train[:TRAINING_IMAGES].astype(np.float32)
    labels = data.y_train[:TRAINING_IMAGES]

    def build() -> keras.Model:
        return compiled(build_network, images=TRAINING_IMAGES, epochs=epochs)

    start, cpu_start = time.perf_counter(), time.process_time()
    fit = {"epochs": epochs, "batch_size": BATCH, "verbose": 0}
    model = build()
    model.fit(images, labels, **fit)
    twin = metrics.train_on_permuted_labels(build, images, labels, seed=0, **fit)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start

    test = data.x_test.astype(np.float32)
    is_right = model.predict(test, verbose=0).argmax(axis=1) == data.y_test
    learned = twin.history.history["accuracy"][-1]
    summary = (
        f"{name}, trained on {TRAINING_IMAGES} cluttered digits of {IMAGE_SIZE} px for {epochs} "
        f"epochs: {is_right.mean():.0%} test accuracy. Its twin has learned {learned:.0%} of its "
        f"permuted labels. Training both took {seconds:.0f} s ({cpu_seconds:.0f} CPU s)."
    )
    return Trained(metrics.weight_layers(model), model, twin, test[is_right][:count], summary)


def check(method: str, trained: Trained, *, quick: bool) -> list[str]:
    """Return the row of one method: mean rank correlations and CPU seconds."""
    start = time.process_time()
    model, images, layers = trained.model, trained.images, trained.layers
    spread = [layers[i] for i in np.linspace(0, len(layers) - 1, 4).round().astype(int)]
    explainer = metrics.ClassExplainer(model, method, OPTIONS.get(method))
    cascade = metrics.parameter_randomisation(
        model, images, explainer, layers=[layers[0], layers[-1]]
    ).spearman.mean(axis=1)
    alone = metrics.parameter_randomisation(
        model, images, explainer, mode="independent", layers=spread
    ).spearman
    labels = metrics.label_randomisation(model, trained.twin, images, explainer).spearman
    ids = explainer.class_ids(images, None)
    others = metrics.spearman(
        explainer.heatmaps(images, ids), explainer.heatmaps(np.roll(images, 1, axis=0), ids)
    )
    shifted = metrics.input_invariance(model, images, explainer).spearman
    noisy = metrics.stability(model, images, explainer, samples=2 if quick else 4).spearman
    worst = metrics.fragility(model, images, explainer, steps=4 if quick else 8).spearman
    values = [*cascade, *(float(v.mean()) for v in (alone, labels, others, shifted, noisy, worst))]
    return [f"`{method}`", *_marked(values), f"{time.process_time() - start:.0f}"]


def _marked(values: list[float]) -> list[str]:
    """Format the values, in bold if they speak against the method."""
    fails = [
        value >= UNCHANGED if index < MUST_CHANGE else value < CHANGED
        for index, value in enumerate(values)
    ]
    return [
        f"**{value:.2f}**" if fail else f"{value:.2f}"
        for value, fail in zip(values, fails, strict=True)
    ]


def _reason(error: Exception) -> str:
    """Return the message in one line, without the trace that TensorFlow adds in graphs."""
    return str(error).rpartition("ValueError: ")[2].strip().splitlines()[0]


def report(methods: list[str], *, quick: bool) -> str:
    """Return the table of all methods, with an explanation."""
    rows, reasons, summaries = [], [], []
    count, network = (4 if quick else 16), None
    # Sorted, so that each network is trained only once.
    for method in tqdm(sorted(methods, key=OF_TRANSFORMERS.__contains__), desc="methods"):
        wanted = list(NETWORKS)[method in OF_TRANSFORMERS]
        if network != wanted:
            network, trained = wanted, train(wanted, count)
            summaries.append(f"{', '.join(OF_TRANSFORMERS)}: " * (method in OF_TRANSFORMERS))
            summaries[-1] += trained.summary
        try:
            rows.append(check(method, trained, quick=quick))
        except (ValueError, FloatingPointError) as error:
            rows.append([f"`{method}`", *["n/a"] * len(CHECKS), ""])
            reasons.append(f"- `{method}` is n/a: {_reason(error)}")
    title = f"Mean rank correlation of heatmaps, {count} test images"
    parts = [
        table(title, rows, ["method", *CHECKS, "CPU s"]),
        "",
        "\n\n".join(summaries),
        "",
        f"Bold values speak against a method: in the first {MUST_CHANGE} columns, where something "
        f"else is explained, maps that stay the same ({UNCHANGED} or more); in the others, where "
        f"the network's answer stays the same, maps that change (below {CHANGED}).",
        "",
        *(f"- {name}: {what}." for name, what in CHECKS.items()),
        *reasons,
    ]
    return "\n".join(parts)


def main() -> None:
    """Print the table, and write it to `--out`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images and perturbations")
    parser.add_argument("--methods", help="comma-separated names (default: all)")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    chosen = arguments.methods.split(",") if arguments.methods else names()
    unknown = [name for name in chosen if name not in names()]
    if unknown:
        parser.error(f"unknown methods: {', '.join(unknown)}. Known: {', '.join(names())}")
    # One set of traced functions per method and network is intended here.
    warnings.filterwarnings("ignore", message=".*retracing.*")
    text = f"{environment()}\n{report(chosen, quick=arguments.quick)}"
    print(text)
    if arguments.out is not None:
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
