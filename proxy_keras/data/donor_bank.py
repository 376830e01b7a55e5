"""DonorBank: training images whose masked regions are put into other images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from proxy_keras.heatmaps.eight_bit import NEVER_HOT, dequantise

MOST_DONORS = 1024
MOST_BYTES = 2**28
"""Limits of what a bank keeps in memory: images, and bytes of them."""


class Donated(NamedTuple):
    """A donor for each image of a batch.

    Attributes:
        images: [B, P, P, 3] uint8.
        heatmaps: [B, h, w] float32 in [0, 1]; zeros where an image has no donor.
        thresholds: [B] float32; `NEVER_HOT` where an image has no donor.
    """

    images: NDArray[np.uint8]
    heatmaps: NDArray[np.float32]
    thresholds: NDArray[np.float32]


NO_DONORS = Donated(
    np.zeros([0, 1, 1, 3], np.uint8), np.zeros([0, 1, 1], np.float32), np.zeros([0], np.float32)
)
"""What a pipeline looks up while no donors are needed."""


def blank_donors(count: int, image_size: int) -> Donated:
    """Return donors for images that have none."""
    return Donated(
        np.zeros([count, image_size, image_size, 3], np.uint8),
        np.zeros([count, 1, 1], np.float32),
        np.full([count], NEVER_HOT, np.float32),
    )


class DonorBank:
    """Training images with a masked region, kept in memory, from which donors are drawn.

    Args:
        positions: [n] positions of the images in the training split, ascending, n >= 1.
        labels: [n] class ids.
        images: [n, P, P, 3] uint8.
        heatmaps: [n, h, w] uint8; 255 stands for 1.0.
        thresholds: [n] float32.
        seed: Keys the draws.
        other_class: Donors have another class than the image.
        keeps: An image is given the same donor in every draw.
    """

    def __init__(
        self,
        positions: NDArray[np.int64],
        labels: NDArray[np.int32],
        images: NDArray[np.uint8],
        heatmaps: NDArray[np.uint8],
        thresholds: NDArray[np.float32],
        *,
        seed: int,
        other_class: bool,
        keeps: bool = False,
    ) -> None:
        self._positions = positions
        self._labels = labels
        self._images = images
        self._heatmaps = heatmaps
        self._thresholds = thresholds
        self._seed = seed
        self._other_class = other_class
        self._keeps = keeps

    def __len__(self) -> int:
        """Return the number of images in the bank."""
        return len(self._positions)

    def draw(
        self,
        positions: NDArray[np.int64],
        labels: NDArray[np.int32],
        is_proxy: NDArray[np.bool_],
        *,
        epoch: int,
        batch: int,
    ) -> Donated:
        """Draw a donor for each image of a batch that is shown as a proxy, never the image itself.

        Args:
            positions: [B] positions of the images in the training split.
            labels: [B] their class ids.
            is_proxy: [B] bool.
            epoch: Counted from 0; with the batch and the seed, keys the draw.
            batch: Number of the batch in the epoch, from 0.
        """
        # Every image draws, so that a draw does not depend on which others are proxies.
        if self._keeps:
            order = np.stack([self._random(place, 7)[0] for place in positions.tolist()])
        else:
            order = self._random(epoch, batch, 5, count=len(positions))
        allowed = self._positions[np.newaxis] != positions[:, np.newaxis]
        if self._other_class:
            allowed &= self._labels[np.newaxis] != labels[:, np.newaxis]
        donors = np.where(allowed, order, -1.0).argmax(axis=1)
        has_donor = is_proxy & allowed.any(axis=1)
        heatmaps = dequantise(self._heatmaps[donors])
        heatmaps[~has_donor] = 0.0
        thresholds = np.where(has_donor, self._thresholds[donors], np.float32(NEVER_HOT))
        return Donated(self._images[donors], heatmaps, thresholds.astype(np.float32))

    def _random(self, *key: int, count: int = 1) -> NDArray[np.float64]:
        return np.random.default_rng([self._seed, *key]).random([count, len(self)])


def draw_bank(
    positions: NDArray[np.int64], image_size: int, *, seed: int, epoch: int
) -> NDArray[np.int64]:
    """Return the positions of the images that a bank keeps, ascending; all where they fit.

    Args:
        positions: [n] ascending positions of the images with a masked region.
        image_size: Side of the images in pixels.
        seed: With the epoch, keys the draw.
        epoch: Counted from 0.
    """
    most = max(min(MOST_DONORS, MOST_BYTES // (3 * image_size**2)), 1)
    if len(positions) <= most:
        return positions
    rng = np.random.default_rng([seed, epoch, 6])
    return np.sort(rng.choice(positions, most, replace=False))
