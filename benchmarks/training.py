"""Cost of proxies in training: the proxy step, a schedule, and cues.

python benchmarks/training.py [--quick]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from _timing import Timing, environment, interleaved, table

from proxy_keras import ImageData, ProxyAttention, build_model, find_cues

HEADER = ["what", "wall", "CPU", "wall ratio", "CPU ratio", "target"]


def _compiled(name: str, size: int, classes: int = 10) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = build_model(name, num_classes=classes, image_size=size)
    model.compile(
        keras.optimizers.AdamW(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def _random_data(n: int, size: int) -> ImageData:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    return ImageData.from_arrays(images, np.arange(n) % 10, progress=False)


def _against_first(title: str, times: Mapping[str, Timing], target: str) -> str:
    """Return a table of times and of their ratios to the first, which the target is for."""
    first = next(iter(times.values()))
    rows = [
        [
            what,
            f"{t.wall_s:.2f} s",
            f"{t.cpu_s:.2f} s",
            f"{t.wall_s / first.wall_s:.3f}",
            f"{t.cpu_s / first.cpu_s:.3f}",
            "" if t is first else target,
        ]
        for what, t in times.items()
    ]
    return table(title, rows, HEADER)


def proxy_step(name: str, size: int, n: int, rounds: int) -> str:
    """Compare the proxy step with a plain training epoch."""
    data, model = _random_data(n, size), _compiled(name, size)
    batches = data.train.batches(32)
    functions = {"plain training epoch": lambda: model.fit(batches, verbose=0, shuffle=False)}
    settings = {
        "step, thesis (wrong, a fifth)": {},
        "step, all images": {"select": "all", "subset": 1.0},
    }
    model.fit(batches, verbose=0, shuffle=False)
    for what, options in settings.items():
        proxy = ProxyAttention(data.train, "1", batch_size=32, verbose=0, **options)
        proxy.prepare(model, 1)
        functions[what] = lambda proxy=proxy: proxy.run_step(0)
    times = interleaved(functions, rounds=rounds)
    title = f"Proxy step: {name}, {size} px, {len(data.train)} images"
    return _against_first(title, times, "<= 0.35")


def schedule(n: int, size: int, rounds: int) -> str:
    """Compare 40 epochs with four proxy steps with 40 plain epochs, in turn."""
    data, model = _random_data(n, size), _compiled("resnet20", size)
    batches = data.train.batches(32)

    def train(proxy: ProxyAttention) -> object:
        return model.fit(batches, epochs=40, verbose=0, shuffle=False, callbacks=[proxy])

    proxies = {
        text: ProxyAttention(data.train, text, batch_size=32, verbose=0)
        for text in ("40", "5,p,9,p,9,p,9,p,4")
    }
    model.fit(batches, verbose=0, shuffle=False)
    times = interleaved(
        {text: lambda proxy=proxy: train(proxy) for text, proxy in proxies.items()},
        rounds=rounds,
        warm_up=0,
    )
    return _against_first(
        f"Schedule: resnet20, {size} px, {len(data.train)} images", times, "<= 1.05"
    )


def without_cues(name: str, size: int, n: int, rounds: int) -> str:
    """Compare an epoch with proxies of ticked cues with a plain one.

    Cues are those of an untrained network, half of them ticked: what they are costs the same.
    """
    model = _compiled(name, size)
    data = {what: _random_data(n, size) for what in ("plain", "spread", "hide")}
    cues = find_cues(model, data["plain"], clusters=16, verbose=0)
    cues.tick(cues.shown[::2])
    for action in ("spread", "hide"):
        proxy = ProxyAttention(data[action].train, cues=cues, cue_action=action, verbose=0)
        proxy.prepare(model, 1)
        proxy.run_step(-1)

    def epoch(data: ImageData) -> object:
        batches = data.train.batches(32)
        return lambda: model.fit(batches, verbose=0, shuffle=False)

    times = interleaved({what: epoch(part) for what, part in data.items()}, rounds=rounds)
    count = len(data["plain"].train)
    return _against_first(
        f"An epoch without cues: {name}, {size} px, {count} images", times, "<= 1.05"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images and rounds")
    quick = parser.parse_args().quick
    print(environment())
    print(proxy_step("resnet20", 32, *((400, 2) if quick else (1500, 5))))
    print(without_cues("resnet20", 32, *((400, 2) if quick else (1500, 7))))
    if not quick:
        print(without_cues("resnet50", 224, 200, 5))
        print(proxy_step("resnet50", 224, 100, 3))
    print(schedule(*((100, 32, 1) if quick else (800, 32, 3))))


if __name__ == "__main__":
    main()
