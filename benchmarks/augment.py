"""Cost of each augmentation, relative to cutmix and as a share of a ResNet-18 training step.

python benchmarks/augment.py [--quick]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from _timing import Timing, environment, interleaved, table

from proxy_keras import augment, build_model

BASE = "cutmix"
STEP = "training step of resnet18"
TARGET = 0.05
"""Largest share of a training step that an augmentation without heatmaps may cost."""


def _layer(name: str) -> augment.BatchLayer:
    needed = {"of": "cutout", "epochs": 1} if name == "curriculum" else {}
    # Change all images, whatever the layer's own probability is.
    return augment.get(name, probability=1.0, **needed)


def _compiled(name: str, images: tf.Tensor, labels: tf.Tensor) -> Callable[[], object]:
    """Return a call like that of `tf.data`: traced once, with a new seed each time."""
    layer = _layer(name)
    given = {"epoch": 1} if layer.needs_epoch else {}
    if layer.needs_maps:
        maps = np.random.default_rng(1).uniform(size=(len(images), 7, 7))
        given["heatmaps"] = tf.constant(maps, tf.float32)
    # A concrete function, because TensorFlow warns if many functions are traced in a row.
    traced = tf.function(lambda seed: layer(images, labels, seed, **given)).get_concrete_function(
        tf.TensorSpec([2], tf.int64)
    )
    seeds = iter(range(1_000_000))
    return lambda: traced(tf.constant([next(seeds), 0], tf.int64))[0].numpy()


def _batch(count: int, size: int, classes: int = 10) -> tuple[tf.Tensor, tf.Tensor]:
    draw = np.random.default_rng(0)
    # Smooth images: equalising or compressing noise would not be like doing so to a photograph.
    coarse = draw.uniform(0, 255, (count, 8, 8, 3))
    images = tf.clip_by_value(tf.image.resize(coarse, [size, size], "bicubic"), 0.0, 255.0)
    return images, tf.one_hot(np.arange(count) % classes, classes)


def throughput(size: int, batch: int, rounds: int) -> str:
    """Compare every augmentation with `cutmix`."""
    images, labels = _batch(batch, size)
    functions = {name: _compiled(name, images, labels) for name in augment.names()}
    times = interleaved(functions, rounds=rounds, warm_up=2)
    rows = [
        [
            name,
            f"{batch / t.wall_s:.0f}",
            f"{t.wall_s / times[BASE].wall_s:.2f}",
            f"{t.cpu_s / times[BASE].cpu_s:.2f}",
        ]
        for name, t in times.items()
    ]
    title = f"Augmentations relative to {BASE}: {size} px, batches of {batch}, {rounds} rounds"
    return table(title, rows, ["what", "images/s", "wall x", "CPU x"])


def share_of_a_step(size: int, batch: int, rounds: int) -> str:
    """Measure every augmentation as a share of the CPU time of a training step."""
    images, labels = _batch(batch, size)
    keras.utils.set_random_seed(0)
    model = build_model("resnet18", num_classes=10, image_size=size)
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
    functions: dict[str, Callable[[], object]] = {
        STEP: lambda: model.train_on_batch(images, labels)
    }
    functions |= {name: _compiled(name, images, labels) for name in augment.names()}
    times = interleaved(functions, rounds=rounds, warm_up=2)
    step = times[STEP]
    rows = [
        [
            name,
            f"{t.cpu_s * 1e3 / batch:.2f} ms",
            f"{t.cpu_s / step.cpu_s:.2%}",
            _verdict(name, t, step),
        ]
        for name, t in times.items()
    ]
    title = f"Share of a training step: resnet18, {size} px, batches of {batch}, {rounds} rounds"
    return table(title, rows, ["what", "CPU per image", "share", "target"])


def _verdict(name: str, time: Timing, step: Timing) -> str:
    """Return the target for augmentations without heatmaps, and whether it is met."""
    if name == STEP or _layer(name).needs_maps:
        return ""
    is_met = time.cpu_s <= TARGET * step.cpu_s
    return f"<= {TARGET:.0%}: {'met' if is_met else 'NOT met'}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller batches")
    quick = parser.parse_args().quick
    print(environment())
    print(throughput(32, *((16, 3) if quick else (128, 21))))
    print(throughput(224, *((2, 2) if quick else (32, 9))))
    print(share_of_a_step(*((64, 2, 1) if quick else (224, 16, 5))))


if __name__ == "__main__":
    main()
