"""Scores the heatmaps of one attribution method on images of a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from proxy_keras.attribution import Explainer
from proxy_keras.data.data_split import Subset
from proxy_keras.evaluating.bootstrap import Bootstrap
from proxy_keras.evaluating.bootstrap_statistics import mean_statistic
from proxy_keras.evaluating.localisation_scores import LocalisationScores, score_localisation
from proxy_keras.evaluating.object_masks import ObjectMasks
from proxy_keras.metrics import CompiledClassifier, deletion, insertion
from proxy_keras.metrics.heatmap_arrays import is_constant

STEPS = 20
"""Steps of deletion and insertion: an image costs four times as many answers, and four more."""

_CURVES = {"deletion": deletion, "insertion": insertion}


@dataclass(frozen=True)
class HeatmapScores:
    """Scores of heatmaps of the classes answered, image by image.

    Attributes:
        method: The attribution method.
        target_layer: The layer that it looked at; None: none.
        positions: [n] int64, which of the split's images, ascending.
        blank: [n] bool, whether a heatmap is the same everywhere.
        deletion: [n] area under the curve of the class's probability as the hottest pixels become
            black, in [0, 1]; lower is better.
        insertion: [n] the same as the hottest pixels come into the blurred image; higher is better.
        random_deletion: [n] the same as `deletion`, of random heat in cells of the same size.
        random_insertion: [n] likewise.
        objects: Scores of those images whose object is known; None: there are none.
    """

    method: str
    target_layer: str | None
    positions: NDArray[np.int64]
    blank: NDArray[np.bool_]
    deletion: NDArray[np.float64]
    insertion: NDArray[np.float64]
    random_deletion: NDArray[np.float64]
    random_insertion: NDArray[np.float64]
    objects: LocalisationScores | None

    @property
    def heat_inside(self) -> NDArray[np.float64]:
        """[m] the share of the heat on each known object; NaN where there is no heat at all.

        Empty where no object is known.
        """
        if self.objects is None:
            return np.empty(0)
        is_blank = self.blank[np.searchsorted(self.positions, self.objects.positions)]
        return np.where(is_blank, np.nan, self.objects.mass)

    def to_dict(self, *, seed: int = 0) -> dict[str, Any]:
        """Means beside chance, and differences with bootstrap intervals, as JSON values.

        Args:
            seed: Keys the bootstrap.
        """
        bootstrap = Bootstrap(len(self.positions), seed=seed)

        def over(first: NDArray[np.float64], second: NDArray[np.float64]) -> dict[str, Any]:
            return bootstrap.difference(mean_statistic(first), mean_statistic(second)).to_dict()

        return {
            "method": self.method,
            "target_layer": self.target_layer,
            "images": len(self.positions),
            "blank": int(self.blank.sum()),
            "faithfulness": {
                "deletion": _beside_random(self.deletion, self.random_deletion),
                "insertion": _beside_random(self.insertion, self.random_insertion),
                "deletion_under_random": over(self.random_deletion, self.deletion),
                "insertion_over_random": over(self.insertion, self.random_insertion),
            },
            "objects": None if self.objects is None else self.objects.to_dict(seed=seed),
        }


def score_heatmaps(
    explainer: Explainer,
    classifier: CompiledClassifier,
    subset: Subset,
    positions: NDArray[np.int64],
    *,
    object_masks: ObjectMasks | None = None,
    steps: int = STEPS,
    batch_size: int = 32,
    seed: int = 0,
    progress: bool = True,
) -> HeatmapScores:
    """The scores of an explainer's heatmaps.

    Args:
        explainer: Makes the heatmaps, of the predicted classes.
        classifier: The same model.
        subset: The split.
        positions: [n] which of its images, each once, n >= 1.
        object_masks: Where the objects are; None: not known.
        steps: Steps of deletion and insertion, >= 1.
        batch_size: Images at a time, >= 1.
        seed: Keys the random heat, of each image its own, and the order of pixels of the same heat.
        progress: Shows a bar.

    Raises:
        ValueError: There is no position, or the explainer explains other classes.
        FloatingPointError: The model computes values that are not finite.
    """
    chosen = np.sort(np.asarray(positions, np.int64))
    if not chosen.size:
        raise ValueError("Heatmaps are scored on at least one image. Received: none.")
    if explainer.explain != "predicted":
        raise ValueError(
            "Heatmaps must be of the predicted classes, whose probability is followed. Received: "
            f"explain={explainer.explain!r}"
        )
    blank = np.empty(len(chosen), bool)
    own, by_chance = ({name: np.empty(len(chosen)) for name in _CURVES} for _ in range(2))
    parts: list[LocalisationScores] = []
    with tqdm(total=len(chosen), desc="heatmaps", unit="image", disable=not progress) as bar:
        for found, images, _ in subset.originals(batch_size, chosen).as_numpy_iterator():
            places = np.searchsorted(chosen, found)
            logits, maps = explainer.logits_and_heatmaps(images)
            class_ids = logits.argmax(axis=1)
            blank[places] = is_constant(maps)
            at_random = _random_maps(maps.shape[1:], found, seed)
            for name, measure in _CURVES.items():
                for scores, heat in ((own, maps), (by_chance, at_random)):
                    scores[name][places] = measure(
                        classifier,
                        images,
                        heat,
                        class_ids,
                        steps=steps,
                        batch_size=batch_size,
                        seed=seed,
                    ).scores
            known = np.zeros(len(found), bool) if object_masks is None else object_masks.has(found)
            if object_masks is not None and known.any():
                parts.append(
                    score_localisation(maps[known], object_masks.masks(found[known]), found[known])
                )
            bar.update(len(found))
    return HeatmapScores(
        method=explainer.method,
        target_layer=explainer.target_layer,
        positions=chosen,
        blank=blank,
        deletion=own["deletion"],
        insertion=own["insertion"],
        random_deletion=by_chance["deletion"],
        random_insertion=by_chance["insertion"],
        objects=LocalisationScores.joined(parts) if parts else None,
    )


def _random_maps(
    size: tuple[int, int], positions: NDArray[np.int64], seed: int
) -> NDArray[np.float32]:
    """[B, h, w] float32: heat drawn for each cell, by (seed, position).

    Cells as coarse as those of the heatmaps: single pixels at random would take an image apart far
    faster than any patches of the same area.
    """
    draws = [np.random.default_rng([seed, int(position)]) for position in positions]
    return np.stack([draw.random(size, np.float32) for draw in draws])


def _beside_random(own: NDArray[np.float64], chance: NDArray[np.float64]) -> dict[str, float]:
    return {"mean": float(own.mean()), "random": float(chance.mean())}
