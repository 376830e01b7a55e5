"""Learning-rate range test: raises the rate at every step and records the loss."""

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
from proxy_keras.io.progress import progress_bar
from proxy_keras.training.optimizer import make_optimizer
from proxy_keras.training.trial_steps import make_step, preserve_variables

_SMOOTHING = 0.9
# The sweep stops when the smoothed loss is this many times its minimum.
_DIVERGED = 4.0
# The first losses depend more on the first batches than on the rate.
_SHARE_SKIPPED = 0.1


@dataclass(frozen=True)
class LrRangeResult:
    """Result of a learning-rate range test.

    Attributes:
        lr: The rate where the smoothed loss falls fastest.
        lrs: [n] float64, the rate of each step, increasing.
        losses: [n] float64, the loss of each batch.
        smoothed: [n] float64, the running mean of the losses.
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
        # Clip the axis: a diverging end would flatten the rest of the curve.
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
    progress: bool = True,
) -> LrRangeResult:
    """Return the learning rate at which AdamW lowers the loss fastest, with the curve.

    The rate rises from `min_lr` to `max_lr` by a constant factor per step, and the sweep stops
    early if the loss diverges. The suggestion is the steepest descent of the smoothed loss over
    the logarithm of the rate. The model stays unchanged: weights, moving averages, random states,
    compile settings.

    Args:
        model: A classifier with logits, [B, H, W, C] to [B, K].
        batches: Pairs (images, integer labels [B]); restarted when exhausted.
        seed: Seeds the model's dropout during the sweep.
        min_lr: > 0.
        max_lr: > `min_lr`.
        steps: >= 20.
        progress: Whether to show a progress bar.

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
    bar = progress_bar(lrs, desc="learning rate", leave=False, shown=progress)
    with preserve_variables(model), bar:
        _seed_random_layers(model, seed)
        optimizer = make_optimizer(lr=min_lr, weight_decay=0.0, total_steps=steps, one_cycle=False)
        step = make_step(
            model, optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        for lr, (images, labels) in zip(bar, _cycle(batches), strict=False):
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
    """Return the exponential running mean with bias correction."""
    mean, smoothed = 0.0, []
    for count, loss in enumerate(losses, start=1):
        mean = _SMOOTHING * mean + (1.0 - _SMOOTHING) * loss
        smoothed.append(mean / (1.0 - _SMOOTHING**count))
    return np.array(smoothed)


def suggest(lrs: NDArray[np.float64], losses: Iterable[float]) -> float:
    """Return the rate where the smoothed loss falls fastest, before its minimum.

    Args:
        lrs: [n] increasing.
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
            " suggested. Check that the labels match the images, try a smaller min_lr, or set the"
            " learning rate by hand (1e-3)."
        )
    slopes = np.gradient(smoothed, np.log(lrs[: len(smoothed)]))
    return float(lrs[first + int(np.argmin(slopes[first : least + 1]))])


def _cycle(batches: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """Yield the batches repeatedly."""
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
    """Give every random layer a different state."""
    states = [v for v in model.variables if v.path.endswith("seed_generator_state")]
    for index, state in enumerate(states):
        state.assign([seed, index])
