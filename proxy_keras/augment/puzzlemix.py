"""Puzzle Mix: two images mixed by a mask of blocks that keeps the salient blocks of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.augment import heatmap_regions, puzzlemix_solver
from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.masks import size_of
from proxy_keras.augment.option_rules import (
    check_count,
    check_flag,
    check_number,
    check_positive,
    checked_counts,
)
from proxy_keras.augment.stateless_random import beta as draw_beta
from proxy_keras.augment.stateless_random import integers, partners


@keras.saving.register_keras_serializable("proxy_keras")
class PuzzleMix(BatchLayer):
    """Two images mixed block by block so that the salient blocks of both are visible.

    The weights of the blocks minimise the energy of `puzzlemix_solver.best_masks`; then the blocks
    of each image are moved so that the salient ones are where the image is visible
    (`puzzlemix_solver.best_moves`). Labels by area. A blank map counts as uniform; with two of
    them, the mask depends on the prior and the colours alone, and mostly shows one image.

    Args:
        alpha: Parameter of the Beta(alpha, alpha) prior of the own image's share, > 0; 1 in the
            paper.
        blocks: Numbers of blocks per side, one of which is drawn per batch; those that do not
            divide the image's side are ignored.
        beta, gamma, eta: Weights of the energy, >= 0; see `puzzlemix_solver.Weights`.
        levels: Steps of a block's weight from 0 to 1, >= 1; 2 (three labels) in the paper.
        xi: Cost of moving blocks, >= 0.
        transport: Whether to move blocks.

    Raises:
        ValueError: An option is outside its range; or (at the first call) no number of blocks
            divides the image's side.

    Source: Kim, Choo and Song, Puzzle Mix (ICML 2020). There the mask comes from alpha-beta swaps
        and the moves from an iterative scheme, both approximate; here both are exact, by one
        minimum cut for the whole batch and by linear assignment. The prior is drawn per image, not
        per batch; moved blocks have the mask's size, while the authors' code moves smaller ones in
        small images; no adversarial noise is added.
    """

    needs_maps = True

    def __init__(
        self,
        alpha: float = 1.0,
        blocks: Sequence[int] = (2, 4, 8, 16),
        beta: float = 1.2,
        gamma: float = 0.5,
        eta: float = 0.2,
        levels: int = 2,
        xi: float = 0.8,
        transport: bool = True,
        **options: Any,
    ) -> None:
        check_positive("alpha", alpha)
        for name, value in (("beta", beta), ("gamma", gamma), ("eta", eta), ("xi", xi)):
            check_number(name, value, 0.0)
        if gamma > 1:
            # Otherwise it could be cheaper for neighbours to differ, which a cut cannot minimise.
            raise ValueError(f"`gamma` must be <= 1. Received: {gamma}")
        check_count("levels", levels, 1)
        check_flag("transport", transport)
        self.alpha = alpha
        self.blocks = checked_counts("blocks", blocks, 2)
        self.beta, self.gamma, self.eta = beta, gamma, eta
        self.levels = levels
        self.xi = xi
        self.transport = transport
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, heatmaps = batch
        count = tf.shape(images)[0]
        partner = partners(count, tf.random.fold_in(seed, 0))
        sizes = self._fitting(images.shape)
        n = tf.gather(sizes, integers([], tf.random.fold_in(seed, 1), len(sizes)))
        prior = draw_beta([count], tf.random.fold_in(seed, 2), self.alpha)
        heat = heatmap_regions.resize_by_area(heatmaps, (n, n))
        # A pure function; declared stateful, it would make the pipeline sequential.
        mask, own_blocks, their_blocks = tf.numpy_function(
            self._solve, [heat, partner, images, prior], [tf.float32, tf.int32, tf.int32], False
        )
        own, others = images, tf.gather(images, partner)
        if self.transport:
            own = _rearrange(own, tf.ensure_shape(own_blocks, [None, None]), n)
            others = _rearrange(others, tf.ensure_shape(their_blocks, [None, None]), n)
        mask = tf.ensure_shape(mask, [None, None, None])
        share = tf.reduce_mean(mask, axis=[1, 2])[:, tf.newaxis]
        weight = heatmap_regions.enlarge_cells(mask, size_of(images)[1:])[..., tf.newaxis]
        # Weights of 0 and 1 reproduce pixels exactly.
        made = weight * own + (1.0 - weight) * others
        return made, share * labels + (1.0 - share) * tf.gather(labels, partner)

    def _fitting(self, shape: tf.TensorShape) -> list[int]:
        """Return the numbers of blocks that divide the sides of the images."""
        height, width = shape[1:3]
        fitting = [n for n in self.blocks if height % n == 0 and width % n == 0]
        if not fitting:
            raise ValueError(
                f"None of `blocks`, {self.blocks}, divides the sides of images of {height} x "
                f"{width} pixels. Add one that does."
            )
        return fitting

    def _solve(
        self,
        heat: NDArray[np.float32],
        partner: NDArray[np.int32],
        images: NDArray[np.float32],
        prior: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
        """Return weights [B, n, n] of the own blocks, and the moved blocks [B, n * n] of both."""
        saliency = heatmap_regions.normalise_sum(heat)
        pictures = images / 255.0
        by = puzzlemix_solver.Weights(self.beta, self.gamma, self.eta, self.levels)
        theirs = saliency[partner]
        masks = puzzlemix_solver.best_masks(
            saliency, theirs, pictures, pictures[partner], prior.astype(np.float64), by
        )
        if not self.transport:
            nothing = np.zeros([len(heat), 0], np.int32)
            return masks.astype(np.float32), nothing, nothing
        own_blocks = puzzlemix_solver.best_moves(masks, saliency, self.xi)
        their_blocks = puzzlemix_solver.best_moves(1.0 - masks, theirs, self.xi)
        return masks.astype(np.float32), own_blocks, their_blocks


def _rearrange(images: tf.Tensor, blocks: tf.Tensor, n: tf.Tensor) -> tf.Tensor:
    """Rearrange images so that their n * n positions show the given blocks [B, n * n]."""
    shape = tf.shape(images)
    batch, height, width, channels = tf.unstack(shape)
    tall, wide = height // n, width // n
    cut = tf.reshape(images, [batch, n, tall, n, wide, channels])
    cut = tf.reshape(tf.transpose(cut, [0, 1, 3, 2, 4, 5]), [batch, n * n, tall, wide, channels])
    cut = tf.reshape(tf.gather(cut, blocks, batch_dims=1), [batch, n, n, tall, wide, channels])
    return tf.reshape(tf.transpose(cut, [0, 1, 3, 2, 4, 5]), shape)
