"""Bootstrap confidence intervals for scores and for differences between two models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Statistic = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""Scores of samples: maps image indices [r, n] to values [r], or [r, s] for s scores at once.

Each row is one sample. Samples whose value is NaN (for example, of a class without images) are
left out. `bootstrap_statistics` has the usual ones.
"""

CONFIDENCE = 0.95
RESAMPLES = 2_000

_AT_ONCE = 2**21
"""Indices drawn at once; bounds the memory."""


@dataclass(frozen=True)
class Interval:
    """A score over all images with its confidence interval.

    Attributes:
        value: The score: a float, or [s] for s scores.
        low: Lower bound, of the same shape.
        high: Upper bound.
    """

    value: Any
    low: Any
    high: Any

    @property
    def ends(self) -> list[float]:
        """[low, high] as JSON values."""
        return np.stack([self.low, self.high], axis=-1).tolist()

    def to_dict(self) -> dict[str, Any]:
        """Return the score and the interval as JSON values."""
        return {"value": np.asarray(self.value).tolist(), "interval": self.ends}


class Bootstrap:
    """Bootstrap samples of n images, drawn with replacement.

    Every call uses the same samples, so two models on the same images are compared in pairs.

    Intervals are bias-corrected percentile intervals: quantiles of the samples' scores, corrected
    for the distance of their median from the score of all images. They cover the choice of the
    images, not that of the training run. Where all images agree (for example, no errors), the
    interval is a single point.

    Args:
        images: n, >= 1.
        seed: Seed of the draw.
        resamples: Number of samples, >= 100.
        confidence: Confidence level, in (0, 1).

    Raises:
        ValueError: An argument is out of range.

    Source: Efron, "Better bootstrap confidence intervals" (1987), sections 1 and 2: the BC method.
    """

    def __init__(
        self,
        images: int,
        *,
        seed: int = 0,
        resamples: int = RESAMPLES,
        confidence: float = CONFIDENCE,
    ) -> None:
        if images < 1:
            raise ValueError(f"A bootstrap needs at least one image. Received: {images}")
        if resamples < 100:
            raise ValueError(f"`resamples` must be >= 100. Received: {resamples}")
        if not 0.0 < confidence < 1.0:
            raise ValueError(f"`confidence` must be in (0, 1). Received: {confidence}")
        self._images = images
        self._seed = seed
        self._resamples = resamples
        self._tails = np.array([(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])

    def estimate(self, statistic: Statistic) -> Any:
        """Return the statistic of all images, each taken once: a value, or [s]."""
        return statistic(np.arange(self._images)[np.newaxis])[0]

    def interval(self, statistic: Statistic, *, is_corrected: bool = True) -> Interval:
        """Return the statistic of all images with its interval.

        Args:
            statistic: See `Statistic`; receives indices in [0, n).
            is_corrected: Whether to correct for bias. Not for a smallest share: the correction
                takes its bias for one of the sample, and the intervals then fail too often.
        """
        value = self.estimate(statistic)
        draws = np.concatenate([statistic(indices) for indices in self._samples()])
        columns = draws.reshape(len(draws), -1).T
        ends = [
            self._ends(column, one, is_corrected)
            for column, one in zip(columns, np.ravel(value), strict=True)
        ]
        low, high = np.array(ends).T.reshape(2, *np.shape(value))
        if np.ndim(value) == 0:
            return Interval(float(value), float(low), float(high))
        return Interval(value, low, high)

    def difference(
        self, first: Statistic, second: Statistic, *, is_corrected: bool = True
    ) -> Interval:
        """Return the first statistic minus the second, on the same samples, with its interval.

        For `is_corrected` see `interval`.
        """
        return self.interval(
            lambda indices: first(indices) - second(indices), is_corrected=is_corrected
        )

    def _samples(self) -> Iterator[NDArray[np.int64]]:
        """Yield blocks of samples: image indices [r, n]."""
        draw = np.random.default_rng(self._seed)
        rows = max(1, _AT_ONCE // self._images)
        for start in range(0, self._resamples, rows):
            count = min(rows, self._resamples - start)
            yield draw.integers(self._images, size=(count, self._images))

    def _ends(
        self, draws: NDArray[np.float64], value: float, is_corrected: bool
    ) -> NDArray[np.float64]:
        """Return the bounds, [2]; NaN if no sample has the score."""
        draws = draws[np.isfinite(draws)]
        if not draws.size or not np.isfinite(value):
            return np.full(2, np.nan)
        if not is_corrected:
            return np.quantile(draws, self._tails)
        # Ties count half, so that an unbiased discrete score is not shifted.
        below = (np.mean(draws < value) + np.mean(draws <= value)) / 2.0
        edge = 0.5 / len(draws)
        shift = ndtri(np.clip(below, edge, 1.0 - edge))
        return np.quantile(draws, ndtr(2.0 * shift + ndtri(self._tails)))
