"""Attentive CutMix: the hottest cells of another image, pasted in."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment import heatmap_regions
from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.masks import paste, size_of
from proxy_keras.augment.option_rules import check_count
from proxy_keras.augment.stateless_random import partners


@keras.saving.register_keras_serializable("proxy_keras")
class AttentiveCutMix(BatchLayer):
    """CutMix that pastes the k hottest of the 7 x 7 cells of another image at the same place.

    Labels by area, k / 49 where 7 divides the image's side. Ties are broken at random, so a blank
    map gives k random cells.

    Args:
        cells: k, in [0, grid * grid]; 6 in the paper. At 0 nothing changes.
        grid: Cells per side, >= 1. Maps of another resolution are averaged to it.

    Raises:
        ValueError: An option is outside its range.

    Source: Walawalkar et al., Attentive CutMix (ICASSP 2020), which takes the heat from a
        pretrained network, like a frozen teacher here.
    """

    needs_maps = True

    def __init__(self, cells: int = 6, grid: int = 7, **options: Any) -> None:
        check_count("grid", grid, 1)
        check_count("cells", cells)
        if cells > grid * grid:
            raise ValueError(f"`cells` must be in [0, {grid * grid}]. Received: {cells}")
        self.cells = cells
        self.grid = grid
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, heatmaps = batch
        partner = partners(tf.shape(images)[0], tf.random.fold_in(seed, 0))
        heat = heatmap_regions.resize_by_area(tf.gather(heatmaps, partner), (self.grid, self.grid))
        cells = heatmap_regions.hottest_cells(heat, self.cells, tf.random.fold_in(seed, 1))
        mask = heatmap_regions.enlarge_cells(cells, size_of(images)[1:])
        others, theirs = tf.gather(images, partner), tf.gather(labels, partner)
        return paste(images, labels, others, theirs, mask)
