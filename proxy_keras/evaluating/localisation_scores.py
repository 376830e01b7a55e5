"""How well heatmaps point at known objects, beside what no network at all would reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from proxy_keras.evaluating.bootstrap import Bootstrap
from proxy_keras.evaluating.bootstrap_statistics import mean_statistic
from proxy_keras.metrics import iou, mass_inside, pointing_game
from proxy_keras.metrics.heatmap_arrays import at_size, checked_heatmaps

HOT = 0.5
"""Heat from which on a pixel is hot, for the overlap."""


@dataclass(frozen=True)
class LocalisationScores:
    """Scores of heatmaps of m images whose object is known; a higher one is better.

    A map that is the same everywhere (blank) points at nothing, and has no heat anywhere: it scores
    0. For `centre_*` a spot in the middle of every image was scored in place of the heatmap.

    Attributes:
        positions: [m] int64, which of the split's images.
        pointing: [m] bool, whether the hottest pixel lies on the object or near it, see
            `pointing_tolerance`.
        mass: [m] the share of the heat that lies on the object.
        iou: [m] overlap of the hot pixels (heat >= 0.5) with the object.
        centre_pointing: [m] bool.
        centre_mass: [m].
        centre_iou: [m].
        area: [m] the object's share of the image: the mass and the overlap of a map that is hot
            everywhere.
        near: [m] the share of pixels on the object or near it: the chance that a pixel drawn at
            random wins the pointing game.
    """

    positions: NDArray[np.int64]
    pointing: NDArray[np.bool_]
    mass: NDArray[np.float64]
    iou: NDArray[np.float64]
    centre_pointing: NDArray[np.bool_]
    centre_mass: NDArray[np.float64]
    centre_iou: NDArray[np.float64]
    area: NDArray[np.float64]
    near: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[LocalisationScores]) -> LocalisationScores:
        """The images of all parts, by position.

        Args:
            parts: At least one.
        """
        order = np.argsort(np.concatenate([part.positions for part in parts]), kind="stable")
        names = [field.name for field in fields(cls)]
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts])[order] for name in names)
        )

    def to_dict(self, *, seed: int = 0) -> dict[str, Any]:
        """Means, chance levels and differences, these with bootstrap intervals, as JSON values.

        Args:
            seed: Keys the bootstrap.
        """
        bootstrap = Bootstrap(len(self.positions), seed=seed)

        def over(first: NDArray[Any], second: NDArray[Any]) -> dict[str, Any]:
            return bootstrap.difference(mean_statistic(first), mean_statistic(second)).to_dict()

        return {
            "images": len(self.positions),
            "area": float(self.area.mean()),
            "pointing_game": _beside_chance(self.pointing, self.centre_pointing, self.near),
            "mass_inside": _beside_chance(self.mass, self.centre_mass, self.area),
            "iou": _beside_chance(self.iou, self.centre_iou, self.area),
            "mass_inside_over_area": over(self.mass, self.area),
            "pointing_over_centre": over(self.pointing, self.centre_pointing),
        }


def score_localisation(
    heatmaps: Any, masks: NDArray[np.bool_], positions: NDArray[np.int64]
) -> LocalisationScores:
    """The scores of heatmaps of known objects.

    Args:
        heatmaps: [m, h, w] in [0, 1], of any size, enlarged to the masks'.
        masks: [m, P, P] the object's pixels, at least one each.
        positions: [m] which of the split's images they are.

    Raises:
        ValueError: See `metrics.pointing_game`.
    """
    side = masks.shape[1]
    maps = at_size(checked_heatmaps(heatmaps, len(masks)), (side, side))
    centres = np.broadcast_to(centre_spot(side), maps.shape)
    tolerance = pointing_tolerance(side)
    near = [(distance_transform_edt(~mask) <= tolerance).mean() for mask in masks]
    return LocalisationScores(
        positions=np.asarray(positions, np.int64),
        pointing=pointing_game(maps, masks, tolerance=tolerance),
        mass=mass_inside(maps, masks),
        iou=iou(maps, masks, threshold=HOT),
        centre_pointing=pointing_game(centres, masks, tolerance=tolerance),
        centre_mass=mass_inside(centres, masks),
        centre_iou=iou(centres, masks, threshold=HOT),
        area=masks.mean(axis=(1, 2)),
        near=np.array(near),
    )


def pointing_tolerance(side: int) -> float:
    """How many pixels off the object the hottest one may be: 15 at 224, as in the paper."""
    return 15.0 * side / 224.0


def centre_spot(side: int) -> NDArray[np.float32]:
    """[P, P] float32 in (0, 1]: a Gaussian in the middle, of a quarter of the side."""
    away = (np.arange(side) + 0.5) / side - 0.5
    along = np.exp(-np.square(away) / (2.0 * 0.25**2))
    spot = np.outer(along, along)
    return (spot / spot.max()).astype(np.float32)


def _beside_chance(
    own: NDArray[Any], centre: NDArray[Any], chance: NDArray[np.float64]
) -> dict[str, float]:
    return {
        "mean": float(own.mean()),
        "centre": float(centre.mean()),
        "area": float(chance.mean()),
    }
