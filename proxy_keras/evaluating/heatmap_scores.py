"""Faithfulness and localisation scores of one method's heatmaps on images of a split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.attribution import Explainer
from proxy_keras.data.data_split import DataSplit
from proxy_keras.evaluating.bootstrap import Bootstrap
from proxy_keras.evaluating.bootstrap_statistics import mean_difference
from proxy_keras.evaluating.localisation_scores import LocalisationScores, score_localisation
from proxy_keras.io.progress import progress_bar
from proxy_keras.metrics import CompiledClassifier, deletion, insertion
from proxy_keras.metrics.heatmap_arrays import is_constant
from proxy_keras.objects.object_masks import ObjectMasks

STEPS = 20
"""Steps of deletion and insertion; an image costs 4 * (STEPS + 1) predictions."""

_CURVES = {"deletion": deletion, "insertion": insertion}


@dataclass(frozen=True)
class HeatmapScores:
    """Scores of the predicted classes' heatmaps, per image.

    Attributes:
        method: The attribution method.
        target_layer: The explained layer, or None.
        positions: [n] int64, positions of the images in the split, ascending.
        blank: [n] bool, whether a heatmap is constant.
        deletion: [n] area under the curve of the class's probability while the hottest pixels are
            blackened, in [0, 1]; lower is better.
        insertion: [n] the same while the hottest pixels are inserted into the blurred image; higher
            is better.
        random_deletion: [n] `deletion` of random heat in cells of the same size.
        random_insertion: [n] `insertion` of the same random heat.
        objects: Scores of the images whose object is known; None if there are none.
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
        """[m] share of the heat on each known object; NaN for blank heatmaps."""
        if self.objects is None:
            return np.empty(0)
        is_blank = self.blank[np.searchsorted(self.positions, self.objects.positions)]
        return np.where(is_blank, np.nan, self.objects.mass)

    def to_dict(self, *, seed: int = 0) -> dict[str, Any]:
        """Return means, random baselines and differences with bootstrap intervals as JSON values.

        Args:
            seed: Seed of the bootstrap.
        """
        over = partial(mean_difference, Bootstrap(len(self.positions), seed=seed))
        return {
            "method": self.method,
            "target_layer": self.target_layer,
            "images": len(self.positions),
            "blank": int(self.blank.sum()),
            "faithfulness": {
                "deletion": _with_random(self.deletion, self.random_deletion),
                "insertion": _with_random(self.insertion, self.random_insertion),
                "deletion_under_random": over(self.random_deletion, self.deletion),
                "insertion_over_random": over(self.insertion, self.random_insertion),
            },
            "objects": None if self.objects is None else self.objects.to_dict(seed=seed),
        }


def score_heatmaps(
    explainer: Explainer,
    classifier: CompiledClassifier,
    split: DataSplit,
    positions: NDArray[np.int64],
    *,
    object_masks: ObjectMasks | None = None,
    steps: int = STEPS,
    batch_size: int = 32,
    seed: int = 0,
    progress: bool = True,
) -> HeatmapScores:
    """Score an explainer's heatmaps.

    Args:
        explainer: Explains the predicted classes.
        classifier: The same model.
        split: The split.
        positions: [n] positions of its images, without duplicates, n >= 1.
        object_masks: Masks of the objects; None if unknown.
        steps: Steps of deletion and insertion, >= 1.
        batch_size: Images per batch, >= 1.
        seed: Seed of the random heat and of the order of equally hot pixels.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: `positions` is empty, or the explainer explains other classes.
        FloatingPointError: The model outputs non-finite values.
    """
    chosen = np.sort(np.asarray(positions, np.int64))
    if not chosen.size:
        raise ValueError("`positions` must contain at least one image. Received: none.")
    if explainer.explain != "predicted":
        raise ValueError(
            "Heatmap scores need an explainer of the predicted classes. Received: "
            f"explain={explainer.explain!r}"
        )
    blank = np.empty(len(chosen), bool)
    own, by_chance = ({name: np.empty(len(chosen)) for name in _CURVES} for _ in range(2))
    parts: list[LocalisationScores] = []
    with progress_bar(total=len(chosen), desc="heatmaps", unit="image", shown=progress) as bar:
        for found, images, _ in split.originals(batch_size, chosen).as_numpy_iterator():
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
    """Draw random heat for each cell by (seed, position), [B, h, w] float32.

    Cells are as coarse as those of the heatmaps: deleting single random pixels destroys an image
    far faster than deleting patches of the same area.
    """
    draws = [np.random.default_rng([seed, int(position)]) for position in positions]
    return np.stack([draw.random(size, np.float32) for draw in draws])


def _with_random(own: NDArray[np.float64], chance: NDArray[np.float64]) -> dict[str, float]:
    return {"mean": float(own.mean()), "random": float(chance.mean())}
