"""Finds a learning rate by raising it step by step and watching the loss."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.io.extras import extra
from proxy_keras.training.optimizer import make_optimizer
from proxy_keras.training.trial_steps import make_step, preserve_variables

_SMOOTHING = 0.9
# The sweep ends when the smoothed loss is this many times its least value.
_DIVERGED = 4.0
# The first losses tell more about the first batches than about the rate.
_SHARE_SKIPPED = 0.1


@dataclass(frozen=True)
class LrRangeResult:
    """What a learning-rate range test found.

    Attributes:
        lr: Where the smoothed loss falls fastest.
        lrs: [n] float64, the rates of the steps, rising.
        losses: [n] float64, each batch's loss.
        smoothed: [n] float64, their running mean.
    """

    lr: float
    lrs: NDArray[np.float64]
    losses: NDArray[np.float64]
    smoothed: NDArray[np.float64]

    def save(self, folder: str | Path) -> None:
        """Writes `lr_range_test.csv` and the curve, `lr_range_test.png`."""
        with extra("train"):
            from matplotlib.figure import Figure

        folder = Path(folder)
        with (folder / "lr_range_test.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("lr", "loss", "smoothed"))
            writer.writerows(zip(self.lrs, self.losses, self.smoothed, strict=True))
        figure = Figure(figsize=(6.0, 4.0), layout="constrained")
        axes = figure.add_subplot(
            xscale="log", xlabel="learning rate", ylabel="training loss", title="LR range test"
        )
        axes.plot(self.lrs, self.losses, color="0.8", label="each batch")
        axes.plot(self.lrs, self.smoothed, label="smoothed")
        axes.axvline(self.lr, color="C1", linestyle="--", label=f"steepest: {self.lr:.2g}")
        # A diverging end would press the rest of the curve flat.
        low, high = self.smoothed.min(), self.smoothed[0]
        axes.set_ylim(low - 0.2 * (high - low), high + 0.5 * (high - low))
        axes.legend()
        figure.savefig(folder / "lr_range_test.png", dpi=150)


def find_learning_rate(
    model: keras.Model,
    batches: Iterable[tuple[Any, Any]],
    *,
    seed: int,
    min_lr: float = 1e-6,
    max_lr: float = 1.0,
    steps: int = 100,
) -> LrRangeResult:
    """Returns the learning rate at which AdamW lowers the loss fastest, and the curve.

    The rate rises from `min_lr` to `max_lr`, each step by the same factor, and the sweep ends early
    when the loss diverges. The suggestion is the point of steepest descent of the smoothed loss
    over the logarithm of the rate. The model is left as it was: weights, moving averages, random
    states, and what it was compiled with.

    Args:
        model: A classifier with logits, [B, H, W, C] to [B, K].
        batches: Of (images, integer labels [B]); begun again where they run out.
        seed: Of the model's dropout in the sweep.
        min_lr: > 0.
        max_lr: > `min_lr`.
        steps: >= 20.
    Raises:
        ValueError: An argument is outside its range, there are no batches, or the loss never fell.
    Source: Smith, Cyclical Learning Rates for Training Neural Networks (2017), section 3.3.
    """
    if not 0.0 < min_lr < max_lr:
        raise ValueError(
            f"0 < `min_lr` < `max_lr` must hold. Received: min_lr={min_lr}, max_lr={max_lr}"
        )
    if steps < 20:
        raise ValueError(f"`steps` must be >= 20. Received: steps={steps}")
    losses: list[float] = []
    lrs = np.geomspace(min_lr, max_lr, steps)
    with preserve_variables(model):
        _seed_random_layers(model, seed)
        optimizer = make_optimizer(lr=min_lr, weight_decay=0.0, total_steps=steps, one_cycle=False)
        step = make_step(
            model, optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        for lr, (images, labels) in zip(lrs, _cycle(batches), strict=False):
            optimizer.learning_rate = lr
            loss = float(step(images, labels))
            if not np.isfinite(loss):
                break
            losses.append(loss)
            smoothed = smooth(losses)
            if smoothed[-1] > _DIVERGED * smoothed.min():
                break
    tried = lrs[: len(losses)]
    return LrRangeResult(suggest(tried, losses), tried, np.array(losses), smooth(losses))


def smooth(losses: Iterable[float]) -> NDArray[np.float64]:
    """Returns the exponential running mean, freed of its bias towards 0 at the start."""
    mean, smoothed = 0.0, []
    for count, loss in enumerate(losses, start=1):
        mean = _SMOOTHING * mean + (1.0 - _SMOOTHING) * loss
        smoothed.append(mean / (1.0 - _SMOOTHING**count))
    return np.array(smoothed)


def suggest(lrs: NDArray[np.float64], losses: Iterable[float]) -> float:
    """Returns the rate where the smoothed loss falls fastest, before its least value.

    Args:
        lrs: [n] rising.
        losses: n losses.
    Raises:
        ValueError: The smoothed loss never fell.
    """
    smoothed = smooth(losses)
    first = int(_SHARE_SKIPPED * len(smoothed))
    least = first + int(np.argmin(smoothed[first:])) if len(smoothed) > first else 0
    if least <= first:
        raise ValueError(
            "The loss did not fall at any learning rate of the range test, so none can be"
            " suggested. Check that the labels fit the images, try a smaller min_lr, or set the"
            " learning rate by hand (1e-3)."
        )
    slopes = np.gradient(smoothed, np.log(lrs[: len(smoothed)]))
    return float(lrs[first + int(np.argmin(slopes[first : least + 1]))])


def _cycle(batches: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """Yields the batches over and over."""
    while True:
        count = 0
        for images, labels in batches:
            count += 1
            yield keras.ops.cast(images, "float32"), keras.ops.cast(labels, "int32")
        if not count:
            raise ValueError(
                "The LR range test needs at least one batch. Received none: pass a tf.data.Dataset"
                " or a list of (images, labels), not an exhausted iterator."
            )


def _seed_random_layers(model: keras.Model, seed: int) -> None:
    """Sets the state of every random layer, each to another."""
    states = [v for v in model.variables if v.path.endswith("seed_generator_state")]
    for index, state in enumerate(states):
        state.assign([seed, index])
