"""Bootstrap intervals of any score of images, and of the difference of two models' scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Statistic = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""Scores of samples: from indices of images [r, n] to values [r], or [r, s] for s scores at once.

Each row is one sample. A value may be NaN where a sample has no such score (a class without
images); those samples are then left out. `statistics` makes the usual ones.
"""

CONFIDENCE = 0.95
RESAMPLES = 2_000

_AT_ONCE = 2**21
"""Places drawn at a time: bounds the memory."""


@dataclass(frozen=True)
class Interval:
    """A score of all images with its interval.

    Attributes:
        value: The score: a float, or [s] of s scores.
        low: Lower end, of the same shape.
        high: Upper end.
    """

    value: Any
    low: Any
    high: Any

    @property
    def ends(self) -> list[float]:
        """[low, high] as JSON values."""
        return np.stack([self.low, self.high], axis=-1).tolist()

    def to_dict(self) -> dict[str, Any]:
        """The interval as JSON values."""
        return {"value": np.asarray(self.value).tolist(), "interval": self.ends}


class Bootstrap:
    """Draws samples of n images with replacement; the same samples for whatever is asked.

    So scores of two models on the same images are compared image by image: an image is in both
    samples as often.

    An interval is the bias-corrected percentile interval: the quantiles of the scores of the
    samples, moved by as much as the samples' median lies beside the score of all images. It says
    how far other images of the same kind might lead, not other trainings. Where all images agree
    (none is answered wrong) samples cannot differ, and the interval is a point.

    Args:
        images: n, >= 1.
        seed: Keys the draw.
        resamples: Samples, >= 100.
        confidence: In (0, 1).

    Raises:
        ValueError: An argument is out of its range.

    Source: Efron, "Better bootstrap confidence intervals" (1987), sections 1 and 2: the method BC.
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
        """The statistic of all images, each once: a value, or [s]."""
        return statistic(np.arange(self._images)[np.newaxis])[0]

    def interval(self, statistic: Statistic) -> Interval:
        """The statistic of all images, with its interval.

        Args:
            statistic: See `Statistic`; its indices are in [0, n).
        """
        value = self.estimate(statistic)
        draws = np.concatenate([statistic(indices) for indices in self._samples()])
        columns = draws.reshape(len(draws), -1).T
        ends = [
            self._ends(column, one) for column, one in zip(columns, np.ravel(value), strict=True)
        ]
        low, high = np.array(ends).T.reshape(2, *np.shape(value))
        if np.ndim(value) == 0:
            return Interval(float(value), float(low), float(high))
        return Interval(value, low, high)

    def difference(self, first: Statistic, second: Statistic) -> Interval:
        """The first statistic less the second, on the same samples, with its interval.

        Of two models that answer alike it is exactly 0, and so are both ends.
        """
        return self.interval(lambda indices: first(indices) - second(indices))

    def _samples(self) -> Iterator[NDArray[np.int64]]:
        """Places [r, n], in total as many rows as there are samples."""
        draw = np.random.default_rng(self._seed)
        rows = max(1, _AT_ONCE // self._images)
        for start in range(0, self._resamples, rows):
            count = min(rows, self._resamples - start)
            yield draw.integers(self._images, size=(count, self._images))

    def _ends(self, draws: NDArray[np.float64], value: float) -> NDArray[np.float64]:
        """[2] the ends; NaN where no sample has the score."""
        draws = draws[np.isfinite(draws)]
        if not draws.size or not np.isfinite(value):
            return np.full(2, np.nan)
        # Equal ones count half, so that a discrete score without bias is not moved.
        below = (np.mean(draws < value) + np.mean(draws <= value)) / 2.0
        edge = 0.5 / len(draws)
        shift = ndtri(np.clip(below, edge, 1.0 - edge))
        return np.quantile(draws, ndtr(2.0 * shift + ndtri(self._tails)))
