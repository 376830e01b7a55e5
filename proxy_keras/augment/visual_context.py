"""VisualContext: objects of other images pasted where their surroundings are like their own."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.masks import mix, shares, size_of
from proxy_keras.augment.option_rules import check_count, check_share
from proxy_keras.augment.stateless_random import partners, split_seed, uniform
from proxy_keras.heatmaps.scaling import enlarge

COARSE = 32
FAR = 1e9


@keras.saving.register_keras_serializable("proxy_keras")
class VisualContext(BatchLayer):
    """The object of another image pasted at the place that fits it best; labels by area.

    Of several random places the one is taken around which the image has the colours most like those
    around the object in its own image. The paper trains a network to say where a class fits; this
    judges by colour, and needs none.

    Its `heatmaps` are the objects' masks, where the data have them, or boxes as masks: heat of at
    least `threshold` is the object. Maps of a network do too.

    Args:
        places: Random places that are compared, >= 1.
        ring: Width of the surroundings as a share of the image's shorter side, in [0, 1].
        largest: Objects that cover more of their image than this are not pasted, in [0, 1].
        threshold: See above, in [0, 1].

    Raises:
        ValueError: An option breaks its rule.

    Source: after Dvornik et al., Modeling Visual Context (2018).
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
        """See `BatchLayer`."""
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
        """The move of each object that fits best, judged on images of about `COARSE` pixels."""
        cell = max(min(images.shape[1:3]) // COARSE, 1)
        images, others, masks = (
            tf.nn.avg_pool2d(x, cell, cell, padding="VALID") for x in (images, others, masks)
        )
        rings = surroundings(masks, self.ring)
        best = best_move(images, masks, rings, ring_colour(others, rings), moves // cell)
        return tf.gather(tf.transpose(moves, [1, 0, 2]), best, batch_dims=1)

    def _moves(self, masks: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """[places, B, 2] int32 rows and columns, by which the object's centre comes anywhere."""
        count, height, width = size_of(masks)
        sides = tf.cast(tf.stack([height, width]), tf.float32)
        to = tf.floor(uniform([self.places, count, 2], seed) * sides)
        return tf.cast(to - tf.round(centres(masks)), tf.int32)


def centres(masks: tf.Tensor) -> tf.Tensor:
    """The centre of mass of each mask [B, H, W, 1], (row, column): [B, 2] float32."""
    _, height, width = size_of(masks)
    mass = tf.reduce_sum(masks, axis=[1, 2, 3])
    by_row, by_column = (
        tf.linalg.matvec(tf.reduce_sum(masks, axis=[other, 3]), tf.range(tf.cast(n, tf.float32)))
        for n, other in ((height, 2), (width, 1))
    )
    return tf.math.divide_no_nan(tf.stack([by_row, by_column], axis=1), mass[:, tf.newaxis])


def surroundings(masks: tf.Tensor, ring: float) -> tf.Tensor:
    """The pixels within a share of the shorter side of a mask, less the mask: [B, H, W, 1]."""
    _, height, width = masks.shape[:3]
    reach = max(round(ring * min(height, width)), 1)
    wider = tf.nn.max_pool2d(masks, [2 * reach + 1, 1], strides=1, padding="SAME")
    return tf.nn.max_pool2d(wider, [1, 2 * reach + 1], strides=1, padding="SAME") - masks


def ring_colour(images: tf.Tensor, rings: tf.Tensor) -> tf.Tensor:
    """The mean colour of the images where a ring [B, H, W, 1] is: [B, C] float32."""
    return tf.math.divide_no_nan(
        tf.einsum("bhwc,bhwo->bc", images, rings), tf.reduce_sum(rings, axis=[1, 2])
    )


def translate(images: tf.Tensor, moves: tf.Tensor) -> tf.Tensor:
    """Images moved by whole rows and columns [B, 2], with zeros where nothing comes in."""
    _, height, width = size_of(images)
    moves = tf.cast(moves, tf.float32)
    ones, zeros = tf.ones_like(moves[:, 0]), tf.zeros_like(moves[:, 0])
    made = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack(
            [ones, zeros, -moves[:, 1], zeros, ones, -moves[:, 0], zeros, zeros], axis=1
        ),
        output_shape=tf.stack([height, width]),
        fill_value=0.0,
        interpolation="NEAREST",
        fill_mode="CONSTANT",
    )
    return tf.ensure_shape(made, images.shape)


def best_move(
    images: tf.Tensor, masks: tf.Tensor, rings: tf.Tensor, colour: tf.Tensor, moves: tf.Tensor
) -> tf.Tensor:
    """Of several moves of an object, the one after which the image fits around it.

    Args:
        images: [B, H, W, C] float32, that the objects come into.
        masks, rings: [B, H, W, 1] float32, of the objects and their surroundings.
        colour: [B, C] float32, of their surroundings at home.
        moves: [places, B, 2] int32.

    Returns:
        [B] int64: which move has the least distance of colours. One that takes the surroundings, or
        the object, out of the image is chosen only if all do.
    """

    def distance(move: tf.Tensor) -> tf.Tensor:
        around = translate(rings, move)
        away = tf.reduce_sum(tf.square(ring_colour(images, around) - colour), axis=1)
        is_in = (shares(around) > 0.0) & (shares(translate(masks, move)) > 0.0)
        return tf.where(is_in, away, FAR)

    return tf.argmin(tf.map_fn(distance, moves, fn_output_signature=tf.float32), axis=0)
