"""How a batch of proxies is made from originals, their heatmaps and their donors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.augment.attenuation import (
    STATISTICS,
    Donors,
    blur,
    exchanged,
    hot_pixels,
    paste,
    uniform_noise,
)
from proxy_keras.augment.catalogue import REPLACEMENTS
from proxy_keras.augment.inpainting import inpaint
from proxy_keras.data.one_pass import in_one_pass, traced_once
from proxy_keras.heatmaps.scaling import enlarge

NEED_COLOUR = ("mean_of_data", "exchange")
"""Replacements that use the mean colour of the data."""

_FILLS = ("colour", "statistic", "blur", "noise", "inpaint", "exchange")
"""How the pixels that replace hot ones are made. Each open pipeline holds all of these ways, and
pays for each at every start of an epoch, so replacements share them where they can."""

_SHARED = {
    "blended": "colour",
    "black": "colour",
    "white": "colour",
    "mean_of_data": "colour",
    **dict.fromkeys(STATISTICS, "statistic"),
}
"""The way of a replacement that has none of its own."""


class Recipe(NamedTuple):
    """An `Attenuation` in numbers, which a pipeline looks up with each batch.

    Attributes:
        replacement: Scalar int32, its place in `REPLACEMENTS`.
        weight: Scalar float32.
        colour: [3] float32 in [0, 255].
        is_spread: Scalar bool.
    """

    replacement: np.int32
    weight: np.float32
    colour: NDArray[np.float32]
    is_spread: np.bool_


@dataclass(frozen=True)
class Attenuation:
    """How a proxy is made from its original; see `augment.attenuate`.

    Attributes:
        weight: For `blended`.
        replacement: What replaces hot pixels.
        colour: The mean of the data, in [0, 255].
        is_spread: Also paste the hot pixels of another image.
        any_donor: With `exchange`, the other image may have the same class.
        keeps_donors: An image is given the same other image each time.
    """

    weight: float = 0.1
    replacement: str = "blended"
    colour: tuple[float, float, float] = (0.0, 0.0, 0.0)
    is_spread: bool = False
    any_donor: bool = False
    keeps_donors: bool = False

    @property
    def needs_donors(self) -> bool:
        """Whether other images take part."""
        return self.is_spread or self.replacement == "exchange"

    @property
    def is_fixed(self) -> bool:
        """Whether a proxy looks the same whenever it is shown."""
        return self.replacement != "noise" and (self.keeps_donors or not self.needs_donors)

    @property
    def recipe(self) -> Recipe:
        """The same for `make_proxies`."""
        colour = self.colour
        if self.replacement not in NEED_COLOUR:
            colour = (255.0, 255.0, 255.0) if self.replacement == "white" else (0.0, 0.0, 0.0)
        return Recipe(
            np.int32(REPLACEMENTS.index(self.replacement)),
            np.float32(self.weight),
            np.array(colour, np.float32),
            np.bool_(self.is_spread),
        )


class DonorCells(NamedTuple):
    """A donor for each image of a batch.

    Attributes:
        images: [B, P, P, 3] uint8.
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
    recipe: Recipe,
    donors: DonorCells,
    seed: tf.Tensor,
) -> tf.Tensor:
    """Return the proxies of a batch, equal to those of `augment.attenuate`.

    Args:
        images: [B, P, P, 3] uint8 or float32 in [0, 255].
        heatmaps: [B, h, w] float32 in [0, 1].
        thresholds: [B] float32; heat at or above which pixels are replaced.
        recipe: How; arrays or tensors.
        donors: A donor for each image, if `recipe` needs them.
        seed: [2] int64 for `noise`.

    Returns:
        [B, P, P, 3] float32 in [0, 255].
    """
    given = (images, heatmaps, thresholds, Recipe(*recipe), DonorCells(*donors), seed)
    return _make_proxies(*tf.nest.map_structure(tf.convert_to_tensor, given))


@traced_once
def _make_proxies(
    images: tf.Tensor,
    heatmaps: tf.Tensor,
    thresholds: tf.Tensor,
    recipe: Recipe,
    donors: DonorCells,
    seed: tf.Tensor,
) -> tf.Tensor:
    size = (images.shape[1], images.shape[2])
    enlarged = enlarge(heatmaps, size)
    is_hot_donor = hot_pixels(enlarge(donors.heatmaps, size), donors.thresholds)
    fills = {
        "colour": lambda: recipe.colour[tf.newaxis, tf.newaxis, tf.newaxis],
        "statistic": lambda: _statistic(images, recipe.replacement),
        "blur": lambda: _blurred(images),
        "noise": lambda: uniform_noise(tf.shape(images), 255.0, seed),
        "inpaint": lambda: _inpainted(images, enlarged, thresholds),
        "exchange": lambda: _exchanged(recipe.colour, donors.images, is_hot_donor),
    }
    ways = [_FILLS.index(_SHARED.get(name, name)) for name in REPLACEMENTS]
    way = tf.gather(tf.constant(ways), recipe.replacement)
    fill = tf.switch_case(way, [fills[name] for name in _FILLS])
    is_blended = tf.equal(recipe.replacement, REPLACEMENTS.index("blended"))
    replaced = _replaced(images, enlarged, thresholds, recipe.weight, is_blended, fill)
    return tf.cond(
        recipe.is_spread,
        lambda: _pasted(replaced, donors.images, is_hot_donor),
        lambda: replaced,
    )


# In one pass, at a tenth of the cost of separate operations. One program is compiled per batch
# size, so originals are included, with a threshold above all heat.
@in_one_pass
def _replaced(
    images: tf.Tensor,
    heatmaps: tf.Tensor,
    thresholds: tf.Tensor,
    weight: tf.Tensor,
    is_blended: tf.Tensor,
    fill: tf.Tensor,
) -> tf.Tensor:
    """Return [B, P, P, 3] float32, with `fill` (which is 0 for `blended`) at hot pixels."""
    images = tf.cast(images, tf.float32)
    kept = tf.where(is_blended, 1.0 - weight * heatmaps, 0.0)[..., tf.newaxis]
    is_hot = hot_pixels(heatmaps, thresholds)[..., tf.newaxis]
    return tf.where(is_hot, kept * images + fill, images)


@in_one_pass
def _statistic(images: tf.Tensor, replacement: tf.Tensor) -> tf.Tensor:
    """Return a statistic of each image, [B, 1, 1, 3] float32."""
    images = tf.cast(images, tf.float32)
    all_of_them = tf.stack([statistic(images) for statistic in STATISTICS.values()])
    places = [REPLACEMENTS.index(name) for name in STATISTICS]
    return all_of_them[tf.argmax(tf.equal(replacement, places))]


@in_one_pass
def _blurred(images: tf.Tensor) -> tf.Tensor:
    return blur(tf.cast(images, tf.float32))


def _inpainted(images: tf.Tensor, heatmaps: tf.Tensor, thresholds: tf.Tensor) -> tf.Tensor:
    return inpaint(tf.cast(images, tf.float32), hot_pixels(heatmaps, thresholds), 255.0)


@in_one_pass
def _exchanged(colour: tf.Tensor, donors: tf.Tensor, is_hot: tf.Tensor) -> tf.Tensor:
    return exchanged(colour, Donors(donors, is_hot))


@in_one_pass
def _pasted(images: tf.Tensor, donors: tf.Tensor, is_hot: tf.Tensor) -> tf.Tensor:
    return paste(images, Donors(donors, is_hot))
