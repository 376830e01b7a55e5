"""The comparison section of a report, and the titles of the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from proxy_keras.evaluating import charts
from proxy_keras.evaluating.corruptions import CORRUPTIONS
from proxy_keras.evaluating.model_comparison import LOWER_IS_BETTER
from proxy_keras.evaluating.report_parts import (
    Card,
    Cards,
    FigureCollection,
    FigurePart,
    Part,
    Section,
    StyledText,
    Table,
    Text,
)

TITLES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "worst_class_accuracy": "worst-class accuracy",
    "worst_group_accuracy": "worst-group accuracy",
    "adjusted_average": "adjusted average",
    "top5": "top-5 accuracy",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "loss": "cross-entropy, nats",
    "ece": "expected calibration error",
    "mce": "maximum calibration error",
    "brier": "Brier score",
    "nll": "negative log-likelihood, nats",
    "robustness": "accuracy on corrupted images",
    **{f"robustness_{name}": f"- {name.replace('_', ' ')}" for name in CORRUPTIONS},
    "deletion": "deletion",
    "insertion": "insertion",
    "pointing_game": "pointing game (hottest point on the object)",
    "mass_inside": "share of the heat on the object",
    "iou": "IoU of heat ≥ 0.5 and the object",
}
CLASSES_SHOWN = 30


def comparison_section(
    metrics: Mapping[str, Any], disagreements: Sequence[Card], collection: FigureCollection
) -> Section:
    """Build the section from `metrics.json` with `against`.

    Args:
        metrics: The content of `metrics.json`.
        disagreements: Cards of images with different predictions.
        collection: The charts of the report.
    """
    against = metrics["against"]
    name, other = metrics["model"]["name"], against["name"]
    differ = against["disagree"]
    parts: list[Part] = [
        Text(
            f"{name} (this) and {other} (other) on the same images. Differences are this minus "
            "other. The intervals are bootstrap intervals over the images; they do not cover the "
            "variation between training runs."
        ),
        Table(
            ["score", "this", "other", "difference", "95% interval"],
            [_row(TITLES[key], one, key) for key, one in against["scores"].items()],
            numeric=(1, 2, 3, 4),
        ),
        collection.add(
            "classes_against",
            _classes(against["classes"]),
            "Recall of each class, this minus other. Green: higher, red: lower, where the interval "
            "excludes 0.",
        ),
        *_groups(against["groups"], collection),
        Text(
            f"The predictions differ on {differ['images']} of {metrics['data']['images']} images: "
            f"only this model is correct on {differ['only_this_right']}, only the other on "
            f"{differ['only_other_right']}."
        ),
    ]
    if disagreements:
        parts += [
            Text("Images with different predictions, with the heatmaps of this and the other:"),
            Cards(disagreements, is_wide=True),
        ]
    return Section("against", "Comparison", parts)


def _row(title: str, one: Mapping[str, Any], key: str) -> list[str | StyledText]:
    low, high = one["interval"]
    sign, suffix = (-1, " (lower is better)") if key in LOWER_IS_BETTER else (1, "")
    is_better, is_worse = min(sign * low, sign * high) > 0, max(sign * low, sign * high) < 0
    tone = "better" if is_better else "worse" if is_worse else ""
    return [
        title + suffix,
        f"{one['this']:.3f}",
        f"{one['other']:.3f}",
        StyledText(f"{one['difference']:+.3f}", tone),
        f"{low:+.3f} to {high:+.3f}",
    ]


def _groups(
    groups: Mapping[str, Mapping[str, Any]], collection: FigureCollection
) -> list[FigurePart]:
    """Return the chart of the groups; empty if none is known."""
    if not groups:
        return []
    return [
        collection.add(
            "groups_against",
            _classes(groups),
            "Accuracy of each group, this minus other, in the same colours.",
        )
    ]


def _classes(classes: Mapping[str, Mapping[str, Any]]) -> charts.Figure:
    """Draw the classes, or groups, that changed most."""
    by_change = sorted(classes, key=lambda name: -abs(classes[name]["difference"]))
    shown = sorted(by_change[:CLASSES_SHOWN], key=lambda name: -classes[name]["difference"])
    return charts.differences(
        shown,
        np.array([classes[name]["difference"] for name in shown]),
        np.array([classes[name]["interval"] for name in shown]),
        "",
    )
