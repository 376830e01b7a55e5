"""Localisation scores of heatmaps on known objects, with baselines that need no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from proxy_keras.evaluating.bootstrap import Bootstrap
from proxy_keras.evaluating.bootstrap_statistics import mean_difference
from proxy_keras.metrics import iou, mass_inside, pointing_game
from proxy_keras.metrics.heatmap_arrays import at_size, checked_heatmaps

HOT = 0.5
"""Pixels at or above this heat count for the IoU."""


@dataclass(frozen=True)
class LocalisationScores:
    """Scores of heatmaps of m images whose object is known; higher is better.

    A constant (blank) heatmap scores 0. The `centre_*` scores are those of a Gaussian at the image
    centre.

    Attributes:
        positions: [m] int64, positions of the images in the split.
        pointing: [m] bool, whether the hottest pixel is within `pointing_tolerance` of the object.
        mass: [m] share of the heat on the object.
        iou: [m] intersection over union of the hot pixels (heat >= 0.5) and the object.
        centre_pointing: [m] bool.
        centre_mass: [m].
        centre_iou: [m].
        area: [m] share of the image that the object covers: mass and IoU of uniform heat.
        near: [m] share of pixels within the tolerance of the object: the chance that a random pixel
            wins the pointing game.
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
        """Concatenate the scores of at least one part, ordered by position."""
        order = np.argsort(np.concatenate([part.positions for part in parts]), kind="stable")
        names = [field.name for field in fields(cls)]
        return cls(
            *(np.concatenate([getattr(part, name) for part in parts])[order] for name in names)
        )

    def to_dict(self, *, seed: int = 0) -> dict[str, Any]:
        """Return means, baselines and differences with bootstrap intervals as JSON values.

        Args:
            seed: Seed of the bootstrap.
        """
        over = partial(mean_difference, Bootstrap(len(self.positions), seed=seed))
        return {
            "images": len(self.positions),
            "area": float(self.area.mean()),
            "pointing_game": _with_baselines(self.pointing, self.centre_pointing, self.near),
            "mass_inside": _with_baselines(self.mass, self.centre_mass, self.area),
            "iou": _with_baselines(self.iou, self.centre_iou, self.area),
            "mass_inside_over_area": over(self.mass, self.area),
            "pointing_over_centre": over(self.pointing, self.centre_pointing),
        }


def score_localisation(
    heatmaps: Any, masks: NDArray[np.bool_], positions: NDArray[np.int64]
) -> LocalisationScores:
    """Score heatmaps against object masks.

    Args:
        heatmaps: [m, h, w] in [0, 1], of any size; enlarged to that of the masks.
        masks: [m, P, P] bool, each non-empty.
        positions: [m] positions of the images in the split.

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
    """Return the tolerance of the pointing game in pixels: 15 at 224 pixels, as in the paper."""
    return 15.0 * side / 224.0


def centre_spot(side: int) -> NDArray[np.float32]:
    """Return a Gaussian at the centre, sigma a quarter of the side: [P, P] float32 in (0, 1]."""
    away = (np.arange(side) + 0.5) / side - 0.5
    along = np.exp(-np.square(away) / (2.0 * 0.25**2))
    spot = np.outer(along, along)
    return (spot / spot.max()).astype(np.float32)


def _with_baselines(
    own: NDArray[Any], centre: NDArray[Any], chance: NDArray[np.float64]
) -> dict[str, float]:
    return {
        "mean": float(own.mean()),
        "centre": float(centre.mean()),
        "area": float(chance.mean()),
    }
