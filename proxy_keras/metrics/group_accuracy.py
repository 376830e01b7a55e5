"""Accuracy of a classifier by group of images, and the measures that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.groups import SMALL_GROUP, Groups
from proxy_keras.metrics.proportion_intervals import (
    Interval,
    smallest_share_interval,
    weighted_mean_interval,
    wilson_bounds,
)


@dataclass(frozen=True)
class GroupAccuracy:
    """Correct predictions of a classifier by group, on images with at least one known group.

    A group is any part of the images. In the literature it is a class together with an attribute,
    such as "waterbird on land".

    Attributes:
        names: [G] names of the groups.
        images: [G] int64 images of each group.
        right: [G] int64 correctly classified ones.
        training_images: [G] int64 training images of each group; None: unknown.
        unknown: Images whose group is unknown; they are in no measure.

    Source: Sagawa et al., Distributionally robust neural networks for group shifts (2020).
    """

    names: Sequence[str]
    images: NDArray[np.int64]
    right: NDArray[np.int64]
    training_images: NDArray[np.int64] | None
    unknown: int

    @classmethod
    def of(
        cls, groups: Groups, is_right: NDArray[np.bool_], training: Groups | None
    ) -> GroupAccuracy | None:
        """Count the correct predictions; None: the group of no image is known.

        Args:
            groups: The groups of the n classified images.
            is_right: [n] which are correct.
            training: The groups of the training images; None: unknown.
        """
        if not groups.is_known:
            return None
        return cls(
            groups.names,
            groups.counts,
            Groups(groups.names, groups.ids[is_right]).counts,
            training.counts if training is not None and training.is_known else None,
            groups.unknown,
        )

    @cached_property
    def present(self) -> NDArray[np.int64]:
        """The ids of the groups that have images."""
        return np.flatnonzero(self.images)

    @property
    def worst(self) -> int:
        """The id of the group with the lowest accuracy; the first one of equals."""
        shares = self.right[self.present] / self.images[self.present]
        return int(self.present[shares.argmin()])

    @property
    def worst_accuracy(self) -> float:
        """The lowest accuracy of a group, in [0, 1]."""
        return float(self.right[self.worst] / self.images[self.worst])

    @property
    def worst_interval(self) -> Interval:
        """An interval of the true accuracy of the group in which that is lowest."""
        return smallest_share_interval(self.right[self.present], self.images[self.present])

    @cached_property
    def training_shares(self) -> NDArray[np.float64] | None:
        """The share of each group in training, [G]; None: unknown, or a group has no images here.

        Without images, the accuracy of a group that training images have is unknown.
        """
        counts = self.training_images
        if counts is None or ((counts > 0) & (self.images == 0)).any():
            return None
        return counts / counts.sum()

    @cached_property
    def adjusted_average(self) -> tuple[float, Interval] | None:
        """The mean accuracy of the groups, weighted as in training, and its interval."""
        if self.training_shares is None:
            return None
        return weighted_mean_interval(self.right, self.images, self.training_shares)

    @property
    def small(self) -> list[str]:
        """The groups with fewer images than `SMALL_GROUP`."""
        return [self.names[at] for at in self.present if self.images[at] < SMALL_GROUP]

    def to_dict(self) -> dict[str, Any]:
        """Return the measures as JSON values; accuracies are in [0, 1], intervals at 95%."""
        adjusted, interval = self.adjusted_average or (None, None)
        return {
            "worst_group": self.names[self.worst],
            "worst_group_accuracy": self.worst_accuracy,
            "worst_group_interval": list(self.worst_interval),
            "adjusted_average": adjusted,
            "adjusted_average_interval": None if interval is None else list(interval),
            "unknown_images": self.unknown,
            "small_groups": self.small,
            "per_group": [self._row(at) for at in range(len(self.names))],
        }

    def _row(self, at: int) -> dict[str, Any]:
        images, right = int(self.images[at]), int(self.right[at])
        low, high = wilson_bounds(right, images)
        training = self.training_images
        return {
            "group": self.names[at],
            "images": images,
            "training_images": None if training is None else int(training[at]),
            "accuracy": right / images if images else None,
            "interval": [float(low), float(high)] if images else None,
        }
