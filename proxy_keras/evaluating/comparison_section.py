"""What a report says of two models side by side."""

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
    Part,
    Section,
    StyledText,
    Table,
    Text,
)

TITLES = {
    "accuracy": "accuracy",
    "top5": "top-5 accuracy",
    "macro_precision": "precision, mean of the classes",
    "macro_recall": "recall, mean of the classes",
    "macro_f1": "F1, mean of the classes",
    "loss": "cross-entropy, nats (lower is better)",
    "ece": "expected calibration error (lower is better)",
    "brier": "Brier score (lower is better)",
    "robustness": "accuracy on corrupted images",
    **{f"robustness_{name}": f"- by {name.replace('_', ' ')}" for name in CORRUPTIONS},
    "deletion": "deletion (lower is better)",
    "insertion": "insertion",
    "pointing_game": "hottest point on the object",
    "mass_inside": "share of the heat on the object",
    "iou": "overlap of the hot half with the object",
}
CLASSES_SHOWN = 30


def comparison_section(
    metrics: Mapping[str, Any], disagreements: Sequence[Card], collection: FigureCollection
) -> Section:
    """The section, out of `metrics.json` with `against`.

    Args:
        metrics: The content of `metrics.json`.
        disagreements: Images on which the two disagree.
        collection: The charts of the report.
    """
    against = metrics["against"]
    name, other = metrics["model"]["name"], against["name"]
    told = against["disagree"]
    parts: list[Part] = [
        Text(
            f"{name} (this) beside {other} (other), on the same images. Differences are this less "
            "other; their intervals are of the same images drawn again and again, so they say "
            "how far other images might lead, not other trainings."
        ),
        Table(
            ["score", "this", "other", "difference", "95 % interval"],
            [_row(TITLES[key], one, key) for key, one in against["scores"].items()],
            numeric=(1, 2, 3, 4),
        ),
        collection.add(
            "classes_against",
            _classes(against["classes"]),
            "Recall of each class, this less other: green gained, red lost, by intervals that "
            "leave out 0.",
        ),
        Text(
            f"They differ on {told['images']} of {metrics['data']['images']} images: on "
            f"{told['only_this_right']} only this one is right, on {told['only_other_right']} only "
            "the other."
        ),
    ]
    if disagreements:
        parts += [
            Text("Where they disagree: the image, the heat of this one, the heat of the other."),
            Cards(disagreements, is_wide=True),
        ]
    return Section("against", "Beside the other model", parts)


def _row(title: str, one: Mapping[str, Any], key: str) -> list[str | StyledText]:
    low, high = one["interval"]
    sign = -1 if key in LOWER_IS_BETTER else 1
    is_better, is_worse = min(sign * low, sign * high) > 0, max(sign * low, sign * high) < 0
    tone = "better" if is_better else "worse" if is_worse else ""
    return [
        title,
        f"{one['this']:.3f}",
        f"{one['other']:.3f}",
        StyledText(f"{one['difference']:+.3f}", tone),
        f"{low:+.3f} to {high:+.3f}",
    ]


def _classes(classes: Mapping[str, Mapping[str, Any]]) -> charts.Figure:
    """The classes that gained and lost most."""
    by_change = sorted(classes, key=lambda name: -abs(classes[name]["difference"]))
    shown = sorted(by_change[:CLASSES_SHOWN], key=lambda name: -classes[name]["difference"])
    return charts.differences(
        shown,
        np.array([classes[name]["difference"] for name in shown]),
        np.array([classes[name]["interval"] for name in shown]),
        "",
    )
