"""Comparison of two models on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.evaluating.bootstrap import Bootstrap, Statistic
from proxy_keras.evaluating.bootstrap_statistics import mean_statistic
from proxy_keras.evaluating.calibration import brier_scores, ece_statistic
from proxy_keras.evaluating.model_results import ModelResults
from proxy_keras.evaluating.proportions import paired_difference_interval

LOWER_IS_BETTER = ("loss", "ece", "brier", "deletion")


def compare(this: ModelResults, other: ModelResults) -> dict[str, Any]:
    """Return `against` of `metrics.json`; differences are this model minus the other.

    Args:
        this: Results of the model of the report.
        other: Results of another model with the same classes on the same images.
    """
    scores = {
        name: _compared(this.bootstrap, mine, other.statistics[name])
        for name, mine in this.statistics.items()
    }
    scores |= {
        name: _compared(this.bootstrap, mine, other.group_statistics[name], is_corrected=False)
        for name, mine in this.group_statistics.items()
    }
    scores |= _calibration(this, other) | _robustness(this, other) | _heat(this, other)
    right, theirs = this.predictions.is_right, other.predictions.is_right
    return {
        "name": other.model.name,
        "sha256": other.model.sha256,
        "scores": scores,
        "classes": _classes(this, other),
        "groups": _groups(this, other),
        "disagree": {
            "images": len(disagreements(this, other)),
            "only_this_right": int((right & ~theirs).sum()),
            "only_other_right": int((theirs & ~right).sum()),
        },
    }


def disagreements(this: ModelResults, other: ModelResults) -> NDArray[np.int64]:
    """Return the positions of images with different predictions.

    Images that one model classifies correctly come first, then those with higher confidence.
    """
    mine, theirs = this.predictions, other.predictions
    differ = np.flatnonzero(mine.predicted != theirs.predicted)
    is_right = mine.is_right[differ] | theirs.is_right[differ]
    confidence = mine.confidence[differ] + theirs.confidence[differ]
    return differ[np.lexsort((-confidence, ~is_right))]


def _calibration(this: ModelResults, other: ModelResults) -> dict[str, Any]:
    both = (this.predictions, other.predictions)
    errors = [
        ece_statistic(one.probabilities, one.labels, is_multi_label=one.is_multi_label)
        for one in both
    ]
    briers = [mean_statistic(brier_scores(one.probabilities, one.labels)) for one in both]
    return {
        "ece": _compared(this.bootstrap, *errors),
        "brier": _compared(this.bootstrap, *briers),
    }


def _robustness(this: ModelResults, other: ModelResults) -> dict[str, Any]:
    """Compare accuracy on all corrupted images and under each corruption."""
    mine, theirs = this.robustness, other.robustness
    if mine is None or theirs is None:
        return {}
    pairs = {"robustness": (mine.shares_right, theirs.shares_right)}
    for name, right in mine.corrupted.items():
        pairs[f"robustness_{name}"] = (right.mean(axis=0), theirs.corrupted[name].mean(axis=0))
    return {
        name: _compared(this.bootstrap, *map(mean_statistic, both)) for name, both in pairs.items()
    }


def _heat(this: ModelResults, other: ModelResults) -> dict[str, Any]:
    """Compare the heatmap scores."""
    mine, theirs = this.heatmaps, other.heatmaps
    if mine is None or theirs is None:
        return {}
    samples = Bootstrap(len(mine.positions), seed=this.seed)
    found = {
        name: _compared(
            samples, mean_statistic(getattr(mine, name)), mean_statistic(getattr(theirs, name))
        )
        for name in ("deletion", "insertion")
    }
    if mine.objects is not None and theirs.objects is not None:
        samples = Bootstrap(len(mine.objects.positions), seed=this.seed)
        for name, key in (("pointing_game", "pointing"), ("mass_inside", "mass"), ("iou", "iou")):
            pair = (mean_statistic(getattr(one, key)) for one in (mine.objects, theirs.objects))
            found[name] = _compared(samples, *pair)
    return found


def _classes(this: ModelResults, other: ModelResults) -> dict[str, Any]:
    """Compare the recall of each class that has images."""
    return _parts(this, other, this.model.classes, this.predictions.labels)


def _groups(this: ModelResults, other: ModelResults) -> dict[str, Any]:
    """Compare the accuracy of each group that has images."""
    return _parts(this, other, this.split.groups.names, this.split.groups.ids)


def _parts(
    this: ModelResults, other: ModelResults, names: Sequence[str], part_ids: NDArray[Any]
) -> dict[str, Any]:
    """Compare the accuracy on each part of the images; `part_ids` [N] are those of `names`."""
    found = {}
    for number, name in enumerate(names):
        mine, theirs = (one.predictions.is_right[part_ids == number] for one in (this, other))
        if len(mine):
            found[name] = {
                "this": float(mine.mean()),
                "other": float(theirs.mean()),
                "difference": float(mine.mean() - theirs.mean()),
                "interval": paired_difference_interval(mine, theirs),
            }
    return found


def _compared(
    samples: Bootstrap, mine: Statistic, theirs: Statistic, *, is_corrected: bool = True
) -> dict[str, Any]:
    gap = samples.difference(mine, theirs, is_corrected=is_corrected)
    return {
        "this": float(samples.estimate(mine)),
        "other": float(samples.estimate(theirs)),
        "difference": gap.value,
        "interval": gap.ends,
    }
