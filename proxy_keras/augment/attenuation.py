"""The proxy operation: images attenuated where their heatmaps are hot."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.augment.catalogue import REPLACEMENTS
from proxy_keras.augment.heatmap_regions import resize_by_area
from proxy_keras.augment.inpainting import check_inpainting, inpaint
from proxy_keras.augment.option_rules import check_choice
from proxy_keras.heatmaps.scaling import enlarge


class Donors(NamedTuple):
    """Other images, whose hot pixels replace or join those of a batch.

    Attributes:
        images: [B, H, W, C], of any real dtype, in [0, peak].
        is_hot: [B, H, W] bool; all False where an image has no donor.
    """

    images: tf.Tensor
    is_hot: tf.Tensor


STATISTICS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "mean": partial(tf.reduce_mean, axis=[1, 2], keepdims=True),
    "max": partial(tf.reduce_max, axis=[1, 2], keepdims=True),
    "min": partial(tf.reduce_min, axis=[1, 2], keepdims=True),
    "halfmax": lambda images: 0.5 * tf.reduce_max(images, axis=[1, 2], keepdims=True),
}
"""Replacements that are one colour per image: [B, H, W, C] float32 -> [B, 1, 1, C]."""


def blur(images: tf.Tensor) -> tf.Tensor:
    """Return images [B, H, W, C] float32 without the detail finer than about 16 pixels.

    Height, width and channels must be static.
    """
    # Averaging over cells of about 16 pixels and enlarging again removes the same detail as a wide
    # Gaussian at a fraction of its cost.
    height, width, channels = images.shape[1:]
    planes = tf.reshape(tf.transpose(images, [0, 3, 1, 2]), [-1, height, width])
    coarse = resize_by_area(planes, (max(height // 16, 2), max(width // 16, 2)))
    planes = tf.reshape(enlarge(coarse, (height, width)), [-1, channels, height, width])
    return tf.transpose(planes, [0, 2, 3, 1])


def uniform_noise(shape: tf.Tensor, peak: float, seed: tf.Tensor) -> tf.Tensor:
    """Return float32 noise of a shape, uniform in [0, peak), that depends on the seed [2] alone."""
    return tf.random.stateless_uniform(shape, seed=seed, maxval=peak)


def attenuate(
    images: tf.Tensor,
    heatmaps: tf.Tensor,
    *,
    threshold: float | tf.Tensor = 0.85,
    weight: float | tf.Tensor = 0.1,
    replacement: str = "blended",
    seed: tf.Tensor | tuple[int, int] = (0, 0),
    peak: float = 1.0,
    colour: tf.Tensor | None = None,
    donors: Donors | None = None,
) -> tf.Tensor:
    """Attenuate each image where its heatmap is hot.

    Args:
        images: [B, H, W, C] float32 in [0, peak]. Not modified.
        heatmaps: [B, H, W] float32 in [0, 1].
        threshold: Heat at or above this is hot. A number in [0, 1], or a [B] float32 tensor with
            one threshold per image (see `area_thresholds`).
        weight: For `blended`, the share of light removed where heat is 1. A number in [0, 1], or a
            scalar tensor.
        replacement: Content of the hot region: `blended` is `(1 - weight * heat) * image`; `mean`,
            `max`, `min`, `halfmax` (half of the maximum) are that statistic of the image itself,
            per channel; `black`, `white`; `blur` (detail finer than about 16 pixels removed);
            `noise` (uniform in [0, peak]); `mean_of_data` is `colour`; `inpaint` continues what is
            around the region; `exchange` is the donor where that is hot too, elsewhere `colour`.
        seed: Two integers; `noise` depends on them alone.
        peak: The value of white: 1 or 255.
        colour: [C] float32 in [0, peak], for `mean_of_data` and `exchange`: the mean of the data.
        donors: For `exchange`: another image for each.

    Returns:
        [B, H, W, C] float32 in [0, peak].

    Raises:
        MissingExtra: `inpaint` is asked for, but OpenCV is not installed.
        ValueError: A number is outside its range, `replacement` is unknown, or it needs `colour` or
            `donors`.

    Source: S. Mukherjee, Proxy Attention (thesis, Groningen, 2023), up to `white`; `inpaint`:
        Telea, An Image Inpainting Technique Based on the Fast Marching Method (2004).
    """
    check_choice("replacement", replacement, REPLACEMENTS)
    weight = _checked("weight", weight)
    is_hot = hot_pixels(heatmaps, threshold)
    if replacement in ("blended", "black"):
        # A single-channel factor avoids passes over the images, which dominate the cost.
        factor = 1.0 - weight * heatmaps if replacement == "blended" else 0.0
        return images * tf.where(is_hot, factor, 1.0)[..., tf.newaxis]
    if replacement == "inpaint":
        check_inpainting()
        return inpaint(images, is_hot, peak)
    return tf.where(
        is_hot[..., tf.newaxis], _fill(replacement, images, seed, peak, colour, donors), images
    )


def _fill(
    replacement: str,
    images: tf.Tensor,
    seed: tf.Tensor | tuple[int, int],
    peak: float,
    colour: tf.Tensor | None,
    donors: Donors | None,
) -> tf.Tensor:
    """Return the pixels that replace hot ones, of a shape that broadcasts to the images."""
    if replacement in ("mean_of_data", "exchange"):
        if colour is None:
            raise ValueError(f"replacement='{replacement}' needs `colour`, the mean of the data.")
        colour = tf.cast(colour, tf.float32)
        if replacement == "mean_of_data":
            return colour
        if donors is None:
            raise ValueError("replacement='exchange' needs `donors`.")
        return exchanged(colour, donors)
    if replacement == "white":
        return tf.constant(peak, images.dtype)
    if replacement == "noise":
        return uniform_noise(tf.shape(images), peak, tf.convert_to_tensor(seed))
    return blur(images) if replacement == "blur" else STATISTICS[replacement](images)


def exchanged(colour: tf.Tensor, donors: Donors) -> tf.Tensor:
    """Return [B, H, W, C] float32: the donors where they are hot, elsewhere `colour` [C]."""
    return tf.where(donors.is_hot[..., tf.newaxis], tf.cast(donors.images, tf.float32), colour)


def paste(images: tf.Tensor, donors: Donors) -> tf.Tensor:
    """Return images [B, H, W, C] float32 with the hot pixels of their donors on them."""
    return tf.where(donors.is_hot[..., tf.newaxis], tf.cast(donors.images, images.dtype), images)


def area_thresholds(
    heatmaps: tf.Tensor, *, threshold: float, max_area: float | NDArray[np.floating] | None
) -> tf.Tensor:
    """Compute thresholds at which at most `max_area` of the pixels of each image are replaced.

    Args:
        heatmaps: [B, H, W] float32 in [0, 1], of static shape, at the resolution of the images.
        threshold: The lowest threshold, in [0, 1].
        max_area: Largest share of pixels to replace, in [0, 1], a number or [B]; the hottest pixels
            are chosen, and those that tie at the limit are all excluded. None: no cap.

    Returns:
        [B] float32, each at least `threshold`; slightly above 1 where no pixel may be replaced.
    """
    batch, height, width = heatmaps.shape
    lowest = tf.fill([batch], tf.constant(threshold, tf.float32))
    if max_area is None:
        return lowest
    pixels = height * width
    # A share that was computed from a pixel count must give the same count.
    allowed = np.floor(np.broadcast_to(max_area, [batch]) * pixels + 1e-3).astype(np.int32)
    hottest_first = tf.sort(tf.reshape(heatmaps, [batch, pixels]), axis=1, direction="DESCENDING")
    first_excluded = tf.gather(hottest_first, np.minimum(allowed, pixels - 1), batch_dims=1)
    just_above = tf.math.nextafter(first_excluded, tf.constant(2.0, tf.float32))
    # The number after 0 is subnormal, and some processors flush it to 0.
    just_above = tf.maximum(just_above, np.finfo(np.float32).tiny)
    return tf.where(allowed < pixels, tf.maximum(lowest, just_above), lowest)


def replaced_share(heatmaps: tf.Tensor, threshold: float | tf.Tensor) -> tf.Tensor:
    """Return the share of pixels that `attenuate` replaces in each image: [B] float32 in [0, 1]."""
    return tf.reduce_mean(tf.cast(hot_pixels(heatmaps, threshold), tf.float32), axis=[1, 2])


def hot_pixels(heatmaps: tf.Tensor, threshold: float | tf.Tensor) -> tf.Tensor:
    """Return the pixels that `attenuate` replaces: [B, H, W] bool."""
    threshold = _checked("threshold", threshold)
    return heatmaps >= tf.reshape(threshold, [-1, 1, 1])


def _checked(name: str, value: float | tf.Tensor) -> tf.Tensor:
    """Return a float32 tensor; only numbers are checked to be in [0, 1], not symbolic tensors."""
    if isinstance(value, (int, float, np.floating)) and not 0.0 <= value <= 1.0:
        raise ValueError(f"`{name}` must be in [0, 1]. Received: {value}")
    return tf.cast(value, tf.float32)
