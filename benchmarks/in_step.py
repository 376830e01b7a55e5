"""Cost of taking predictions and heatmaps from the training steps.

python benchmarks/in_step.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from _timing import environment, table

from proxy_keras import ImageData, ProxyAttention, build_model
from proxy_keras.training.count_epochs import CountEpochs


class EpochTimes(keras.callbacks.Callback):
    """Wall-clock and CPU seconds of each epoch's steps, without the first epoch, which traces."""

    def __init__(self) -> None:
        super().__init__()
        self.walls: list[float] = []
        self.cpus: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch:
            self.walls.append(time.perf_counter() - self._wall)
            self.cpus.append(time.process_time() - self._cpu)


def compare(name: str, size: int, count: int, batch: int, epochs: int, rounds: int) -> str:
    """Compare training steps with and without recording, and the proxy steps that follow."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    data = ImageData.from_arrays(images, np.arange(count) % 10, progress=False)
    keras.utils.set_random_seed(0)
    model = build_model(name, num_classes=10, image_size=size)
    model.compile(
        keras.optimizers.AdamW(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    schedule = [*["p"] * (epochs - 1), 1]
    callbacks = {
        "plain training steps": lambda: CountEpochs(data.train),
        "steps, recorded (wrong_from='train')": lambda: ProxyAttention(
            data.train, schedule, wrong_from="train", control="proxies_off", verbose=0
        ),
        "steps, not recorded (wrong_from='evaluation')": lambda: ProxyAttention(
            data.train, schedule, control="proxies_off", verbose=0
        ),
    }
    times: dict[str, EpochTimes] = {what: EpochTimes() for what in callbacks}
    step_seconds: dict[str, list[float]] = {what: [] for what in callbacks}
    for _ in range(rounds):
        for what, make in callbacks.items():
            callback = make()
            model.fit(
                data.train.batches(batch),
                epochs=epochs,
                verbose=0,
                shuffle=False,
                # The timer stops before the proxy step, which runs in the next callback.
                callbacks=[times[what], callback],
            )
            if isinstance(callback, ProxyAttention):
                step_seconds[what] += [step.seconds for step in callback.steps[1:]]
    plain = times["plain training steps"]
    rows = []
    for what, measured in times.items():
        wall, cpu = statistics.median(measured.walls), statistics.median(measured.cpus)
        step = step_seconds[what]
        rows.append(
            [
                what,
                f"{wall:.2f} s",
                f"{cpu:.2f} s",
                f"{wall / statistics.median(plain.walls):.3f}",
                f"{cpu / statistics.median(plain.cpus):.3f}",
                "<= 1.03" if "'train'" in what else "",
                f"{statistics.median(step):.2f} s" if step else "",
            ]
        )
    header = ["an epoch of", "wall", "CPU", "wall x", "CPU x", "target", "proxy step after it"]
    title = f"In-step proxies: {name}, {size} px, {len(data.train)} images, batches of {batch}"
    return table(f"{title}, median of {len(plain.walls)} epochs", rows, header)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images and epochs")
    quick = parser.parse_args().quick
    print(environment())
    print(compare("resnet20", 32, 300 if quick else 1000, 32, 4 if quick else 6, 2 if quick else 4))
    if not quick:
        print(compare("resnet50", 224, 60, 8, 3, 2))


if __name__ == "__main__":
    warnings.simplefilter("ignore", UserWarning)
    main()
