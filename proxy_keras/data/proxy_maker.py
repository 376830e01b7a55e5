"""How a batch of proxies is made from originals, their heatmaps and their donors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import tensorflow as tf

from proxy_keras.augment.attenuation import Donors, attenuate, hot_pixels, paste
from proxy_keras.augment.catalogue import REPLACEMENTS
from proxy_keras.augment.inpainting import inpaint
from proxy_keras.data.one_pass import in_one_pass
from proxy_keras.heatmaps.scaling import enlarge

NEED_COLOUR = ("mean_of_data", "exchange")
"""Replacements that use the mean colour of the data."""


@dataclass(frozen=True)
class Attenuation:
    """How a proxy is made from its original; see `augment.attenuate`.

    Attributes:
        weight: For `blended`.
        replacement: What replaces hot pixels.
        colour: The mean of the data, in [0, 255].
        is_spread: Also paste the hot pixels of another image.
    """

    weight: float = 0.1
    replacement: str = "blended"
    colour: tuple[float, float, float] = (0.0, 0.0, 0.0)
    is_spread: bool = False

    @property
    def needs_donors(self) -> bool:
        """Whether other images take part."""
        return self.is_spread or self.replacement == "exchange"

    @property
    def is_fixed(self) -> bool:
        """Whether a proxy looks the same whenever it is shown."""
        return not self.needs_donors and self.replacement != "noise"

    @property
    def code(self) -> int:
        """The number of the way in which proxies are made, for `make_proxies`."""
        return REPLACEMENTS.index(self.replacement) + len(REPLACEMENTS) * self.is_spread


class DonorCells(NamedTuple):
    """A donor for each image of a batch.

    Attributes:
        images: [B, P, P, 3] uint8; [0, 1, 1, 3] if no donors are needed.
        heatmaps: [B, h, w] float32; zeros where an image has no donor.
        thresholds: [B] float32.
    """

    images: tf.Tensor
    heatmaps: tf.Tensor
    thresholds: tf.Tensor


def make_proxies(
    images: tf.Tensor,
    heatmaps: tf.Tensor,
    thresholds: tf.Tensor,
    *,
    weight: tf.Tensor,
    code: tf.Tensor,
    colour: tf.Tensor,
    donors: DonorCells,
    seed: tf.Tensor,
) -> tf.Tensor:
    """Return the proxies of a batch.

    Args:
        images: [B, P, P, 3] uint8 or float32 in [0, 255].
        heatmaps: [B, h, w] float32 in [0, 1].
        thresholds: [B] float32; heat at or above which pixels are replaced.
        weight: Scalar float32, see `Attenuation`.
        code: Scalar int32, `Attenuation.code`.
        colour: [3] float32 in [0, 255].
        donors: A donor for each image, if `code` needs them.
        seed: [2] int64 for `noise`.

    Returns:
        [B, P, P, 3] float32 in [0, 255].
    """
    size = (images.shape[1], images.shape[2])
    enlarged = enlarge(heatmaps, size)

    def hot_donors() -> Donors:
        is_hot = hot_pixels(enlarge(donors.heatmaps, size), donors.thresholds)
        return Donors(donors.images, is_hot)

    def inpainted() -> tf.Tensor:
        return inpaint(tf.cast(images, tf.float32), hot_pixels(enlarged, thresholds), 255.0)

    def exchanged() -> tf.Tensor:
        return _exchanged(images, enlarged, thresholds, colour, *hot_donors())

    special = {"inpaint": inpainted, "exchange": exchanged}
    replaced = tf.switch_case(
        code % len(REPLACEMENTS),
        [
            special.get(name)
            or partial(_attenuated, images, enlarged, thresholds, weight, colour, seed, name)
            for name in REPLACEMENTS
        ],
    )
    is_spread = code >= len(REPLACEMENTS)
    return tf.cond(is_spread, lambda: _pasted(replaced, *hot_donors()), lambda: replaced)


# In one pass, at a tenth of the cost of separate operations. One program is compiled per batch
# size, so originals are included, with a threshold above all heat.
@in_one_pass
def _attenuated(
    images: tf.Tensor,
    heatmaps: tf.Tensor,
    thresholds: tf.Tensor,
    weight: tf.Tensor,
    colour: tf.Tensor,
    seed: tf.Tensor,
    replacement: str,
) -> tf.Tensor:
    """Attenuate images [B, P, P, 3] above their thresholds: float32 in [0, 255]."""
    return attenuate(
        tf.cast(images, tf.float32),
        heatmaps,
        threshold=thresholds,
        weight=weight,
        replacement=replacement,
        seed=seed,
        peak=255.0,
        colour=colour,
    )


@in_one_pass
def _exchanged(
    images: tf.Tensor,
    heatmaps: tf.Tensor,
    thresholds: tf.Tensor,
    colour: tf.Tensor,
    donors: tf.Tensor,
    is_hot: tf.Tensor,
) -> tf.Tensor:
    return attenuate(
        tf.cast(images, tf.float32),
        heatmaps,
        threshold=thresholds,
        replacement="exchange",
        peak=255.0,
        colour=colour,
        donors=Donors(donors, is_hot),
    )


@in_one_pass
def _pasted(images: tf.Tensor, donors: tf.Tensor, is_hot: tf.Tensor) -> tf.Tensor:
    return paste(images, Donors(donors, is_hot))
