"""VisualContext: objects of other images pasted where the surroundings have similar colours."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.geometry import transform
from proxy_keras.augment.masks import mix, shares, size_of
from proxy_keras.augment.option_rules import check_count, check_share
from proxy_keras.augment.stateless_random import partners, split_seed, uniform
from proxy_keras.heatmaps.scaling import enlarge

COARSE = 32
"""Approximate side in pixels of the downsampled images that positions are compared on."""
FAR = 1e9
"""Distance of positions at which the object or its surroundings leave the image."""


@keras.saving.register_keras_serializable("proxy_keras")
class VisualContext(BatchLayer):
    """The object of another image, pasted at the position that fits it best; labels by area.

    Of several random positions, the one is chosen whose surroundings are closest in colour to those
    of the object in its own image. The paper trains a network to predict where a class fits; the
    colour comparison needs none.

    `heatmaps` can be object masks, boxes as masks, or the heatmaps of a network; pixels with heat
    of at least `threshold` are the object.

    Args:
        places: Number of random positions to compare, >= 1.
        ring: Width of the surroundings as a share of the image's shorter side, in [0, 1].
        largest: Objects that cover a larger share of their image are not pasted, in [0, 1].
        threshold: See above, in [0, 1].

    Raises:
        ValueError: An option has an invalid value.

    Source: based on Dvornik et al., Modeling Visual Context (2018).
    """

    needs_maps = True

    def __init__(
        self,
        places: int = 10,
        ring: float = 0.1,
        largest: float = 0.5,
        threshold: float = 0.5,
        **options: Any,
    ) -> None:
        check_count("places", places, 1)
        for name, value in (("ring", ring), ("largest", largest), ("threshold", threshold)):
            check_share(name, value)
        self.places, self.ring = int(places), ring
        self.largest, self.threshold = largest, threshold
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, heatmaps = batch
        count, height, width = size_of(images)
        of_partner, of_place = split_seed(seed, 2)
        partner = partners(count, of_partner)
        masks = enlarge(tf.gather(heatmaps, partner), (height, width)) >= self.threshold
        masks = tf.cast(masks, tf.float32)[..., tf.newaxis]
        masks = tf.ensure_shape(masks, [None, *images.shape[1:3], 1])
        is_small = shares(masks) <= self.largest
        masks *= tf.cast(is_small, tf.float32)[:, tf.newaxis, tf.newaxis, tf.newaxis]
        others = tf.gather(images, partner)
        move = self._best(images, others, masks, self._moves(masks, of_place))
        pasted = translate(masks, move)
        made = images + pasted * (translate(others, move) - images)
        return made, mix(tf.gather(labels, partner), labels, shares(pasted))

    def _best(
        self, images: tf.Tensor, others: tf.Tensor, masks: tf.Tensor, moves: tf.Tensor
    ) -> tf.Tensor:
        """Return the best shift of each object, compared on images of about `COARSE` pixels."""
        cell = max(min(images.shape[1:3]) // COARSE, 1)
        images, others, masks = (
            tf.nn.avg_pool2d(x, cell, cell, padding="VALID") for x in (images, others, masks)
        )
        rings = surroundings(masks, self.ring)
        best = best_move(images, masks, rings, ring_colour(others, rings), moves // cell)
        return tf.gather(tf.transpose(moves, [1, 0, 2]), best, batch_dims=1)

    def _moves(self, masks: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draw shifts that move the objects' centres to random pixels: [places, B, 2] int32."""
        count, height, width = size_of(masks)
        sides = tf.cast(tf.stack([height, width]), tf.float32)
        targets = tf.floor(uniform([self.places, count, 2], seed) * sides)
        return tf.cast(targets - tf.round(centres(masks)), tf.int32)


def centres(masks: tf.Tensor) -> tf.Tensor:
    """Compute the centre of mass of each mask [B, H, W, 1], (row, column): [B, 2] float32."""
    _, height, width = size_of(masks)
    mass = tf.reduce_sum(masks, axis=[1, 2, 3])
    by_row, by_column = (
        tf.linalg.matvec(tf.reduce_sum(masks, axis=[other, 3]), tf.range(tf.cast(n, tf.float32)))
        for n, other in ((height, 2), (width, 1))
    )
    return tf.math.divide_no_nan(tf.stack([by_row, by_column], axis=1), mass[:, tf.newaxis])


def surroundings(masks: tf.Tensor, ring: float) -> tf.Tensor:
    """Return the pixels around a mask, within `ring` times the shorter side: [B, H, W, 1]."""
    _, height, width = masks.shape[:3]
    reach = max(round(ring * min(height, width)), 1)
    wider = tf.nn.max_pool2d(masks, [2 * reach + 1, 1], strides=1, padding="SAME")
    return tf.nn.max_pool2d(wider, [1, 2 * reach + 1], strides=1, padding="SAME") - masks


def ring_colour(images: tf.Tensor, rings: tf.Tensor) -> tf.Tensor:
    """Compute the mean colour of images inside a mask [B, H, W, 1]: [B, C] float32."""
    return tf.math.divide_no_nan(
        tf.einsum("bhwc,bhwo->bc", images, rings), tf.reduce_sum(rings, axis=[1, 2])
    )


def translate(images: tf.Tensor, moves: tf.Tensor) -> tf.Tensor:
    """Shift images by whole rows and columns [B, 2], with zeros beyond the border."""
    moves = tf.cast(moves, tf.float32)
    coefficients = (1.0, 0.0, -moves[:, 1], 0.0, 1.0, -moves[:, 0])
    return transform(images, coefficients, "CONSTANT", interpolation="NEAREST")


def best_move(
    images: tf.Tensor, masks: tf.Tensor, rings: tf.Tensor, colour: tf.Tensor, moves: tf.Tensor
) -> tf.Tensor:
    """Choose the shift after which an object's surroundings fit best.

    Args:
        images: [B, H, W, C] float32, into which the objects are pasted.
        masks, rings: [B, H, W, 1] float32, of the objects and their surroundings.
        colour: [B, C] float32, of the surroundings in the objects' own images.
        moves: [places, B, 2] int32.

    Returns:
        [B] int64: index of the shift with the smallest colour distance. Shifts that move the object
        or its surroundings out of the image are only chosen if all do.
    """

    def distance(move: tf.Tensor) -> tf.Tensor:
        around = translate(rings, move)
        difference = tf.reduce_sum(tf.square(ring_colour(images, around) - colour), axis=1)
        is_inside = (shares(around) > 0.0) & (shares(translate(masks, move)) > 0.0)
        return tf.where(is_inside, difference, FAR)

    return tf.argmin(tf.map_fn(distance, moves, fn_output_signature=tf.float32), axis=0)
