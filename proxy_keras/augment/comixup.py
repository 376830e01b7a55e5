"""Co-Mixup: mixtures of a whole batch, each salient and different from the others."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.augment import comixup_solver, heatmap_regions
from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.masks import size_of
from proxy_keras.augment.option_rules import (
    check_count,
    check_number,
    check_positive,
    check_share,
)


@keras.saving.register_keras_serializable("proxy_keras")
class CoMixup(BatchLayer):
    """One mixture per image, composed cell by cell from all images of a group.

    The energy of `comixup_solver.joint_labels` is minimised approximately: each mixture shows
    salient cells in smooth regions, and images that already fill other mixtures are penalised.
    Labels by area. A blank map counts as uniform.

    Args:
        members: Images per group, >= 1; the last group of a batch may be smaller. At 1 nothing
            changes. 20 in the paper; time grows with its square.
        cells: Cells per side, >= 1; 4 in the paper.
        alpha: Parameter of the Dirichlet prior of the images' shares, > 0; 2 in the paper.
        beta, gamma, eta, tau, omega: See `comixup_solver.Weights`.
        rounds: How often each mixture is optimised, >= 1; 3 in the paper.

    Raises:
        ValueError: An option is outside its range.

    Source: Kim et al., Co-Mixup (ICLR 2021). There mixtures are optimised by alpha-beta swaps, and
        later rounds can split a cell between two images; here by alpha-expansion, without splits.
    """

    needs_maps = True

    def __init__(
        self,
        members: int = 8,
        cells: int = 4,
        alpha: float = 2.0,
        beta: float = 0.32,
        gamma: float = 1.0,
        eta: float = 0.05,
        tau: float = 0.83,
        omega: float = 0.001,
        rounds: int = 3,
        **options: Any,
    ) -> None:
        for name, count in (("members", members), ("cells", cells), ("rounds", rounds)):
            check_count(name, count, 1)
        for name, value in (("beta", beta), ("gamma", gamma), ("eta", eta), ("tau", tau)):
            check_number(name, value, 0.0)
        check_positive("alpha", alpha)
        check_share("omega", omega)
        self.members, self.cells, self.rounds = members, cells, rounds
        self.alpha = alpha
        self.beta, self.gamma, self.eta = beta, gamma, eta
        self.tau, self.omega = tau, omega
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, heatmaps = batch
        heat = heatmap_regions.resize_by_area(heatmaps, (self.cells, self.cells))
        # A pure function; declared stateful, it would make the pipeline sequential.
        shown = tf.numpy_function(self._solve, [heat, seed], tf.int32, False)
        shown = tf.ensure_shape(shown, [None, self.cells, self.cells])
        side = size_of(images)[1:]
        source = heatmap_regions.enlarge_cells(shown, side)
        rows, columns = tf.meshgrid(tf.range(side[0]), tf.range(side[1]), indexing="ij")
        indices = [source, *(tf.broadcast_to(axis, tf.shape(source)) for axis in (rows, columns))]
        made = tf.gather_nd(images, tf.stack(indices, axis=-1))
        return made, tf.einsum("bij,bijk->bk", self._areas(shown, side), tf.gather(labels, shown))

    def _areas(self, shown: tf.Tensor, side: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Return the share of the image that each cell covers: [B, n, n], summing to 1."""
        n = self.cells
        tall, wide = (
            tf.math.bincount(tf.range(length) * n // length, minlength=n, dtype=tf.float32)
            / tf.cast(length, tf.float32)
            for length in side
        )
        return tf.broadcast_to(tall[:, tf.newaxis] * wide, tf.shape(shown))

    def _solve(self, heat: NDArray[np.float32], seed: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the image of the batch that each cell of each mixture shows: [B, n, n]."""
        draw = np.random.default_rng(seed.view(np.uint64))
        weights = comixup_solver.Weights(
            self.beta, self.gamma, self.eta, self.tau, self.omega, self.rounds
        )
        saliency = heatmap_regions.normalise_sum(heat)
        whole = len(heat) // self.members * self.members
        shown = np.empty(heat.shape, np.int32)
        for first, end, m in ((0, whole, self.members), (whole, len(heat), len(heat) - whole)):
            if first == end:
                continue
            part = slice(first, end)
            grouped = saliency[part].reshape(-1, m, self.cells, self.cells)
            prior = np.log(draw.dirichlet(np.full(m, self.alpha), len(grouped)) + 1e-8)
            start = draw.integers(m, size=grouped.shape)
            chosen = comixup_solver.joint_labels(grouped, prior, start, weights)
            of_group = np.arange(len(grouped))[:, np.newaxis, np.newaxis, np.newaxis] * m
            shown[part] = (first + of_group + chosen).reshape(-1, self.cells, self.cells)
        return shown
