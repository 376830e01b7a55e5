"""One-cycle learning rate schedule: a rise to the peak, then a decay to almost 0."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

_START_DIVISOR = 25.0
_FINAL_DIVISOR = 1e4


@keras.saving.register_keras_serializable(package="proxy_keras")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """One-cycle schedule: half a cosine up to the peak, half a cosine down.

    Starts at `peak / 25`, ends at `peak / 25 / 1e4`, and stays there.

    Args:
        peak: The largest learning rate, > 0.
        total_steps: Steps of the whole training run, >= 1.
        warm_up: Share of the steps before the peak, in (0, 1).
    Raises:
        ValueError: An argument is outside its range.
    Source: Smith & Topin, Super-Convergence (2018), with the now usual divisors, and cosines
        instead of straight lines.
    """

    def __init__(self, peak: float, total_steps: int, warm_up: float = 0.3) -> None:
        super().__init__()
        if peak <= 0.0:
            raise ValueError(f"`peak` must be > 0. Received: peak={peak}")
        if total_steps < 1:
            raise ValueError(f"`total_steps` must be >= 1. Received: total_steps={total_steps}")
        if not 0.0 < warm_up < 1.0:
            raise ValueError(f"`warm_up` must be in (0, 1). Received: warm_up={warm_up}")
        self.peak = peak
        self.total_steps = total_steps
        self.warm_up = warm_up

    def __call__(self, step: Any) -> Any:
        """Return a float32 scalar for an integer step, counted from 0."""
        start = self.peak / _START_DIVISOR
        last = float(self.total_steps - 1)
        turn = self.warm_up * last
        step = ops.minimum(ops.cast(step, "float32"), last)
        # A run of one step trains at the peak.
        up = _half_cosine(start, self.peak, step / max(turn, 1.0 / self.total_steps))
        down = _half_cosine(
            self.peak, start / _FINAL_DIVISOR, (step - turn) / max(last - turn, 1.0)
        )
        return ops.where(step < turn, up, down)

    def to_cosine_decay(self) -> keras.optimizers.schedules.CosineDecay:
        """Return Keras' own schedule with the same start, peak and end; its warm-up is linear."""
        start = self.peak / _START_DIVISOR
        warm_up = max(1, round(self.warm_up * (self.total_steps - 1)))
        return keras.optimizers.schedules.CosineDecay(
            start,
            decay_steps=max(1, self.total_steps - 1 - warm_up),
            alpha=start / _FINAL_DIVISOR / self.peak,
            warmup_target=self.peak,
            warmup_steps=warm_up,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"peak": self.peak, "total_steps": self.total_steps, "warm_up": self.warm_up}


def _half_cosine(first: float, last: float, share: Any) -> Any:
    """Interpolate from `first` (share 0) to `last` (share 1), flat at both ends."""
    return last + (first - last) * 0.5 * (1.0 + ops.cos(math.pi * share))
