"""The report's section on groups of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy_keras.data.groups import SMALL_GROUP
from proxy_keras.evaluating.report_parts import Part, Section, StyledText, Table, Text
from proxy_keras.training.group_gap import gap_sentence
from proxy_keras.training.selections import LAST


def group_section(groups: Mapping[str, Any], selection: str | None) -> Section:
    """Build the section.

    Args:
        groups: `groups` of `metrics.json`.
        selection: How the epoch of the network was selected; None: unknown.
    """
    parts: list[Part] = [
        Table(
            ["group", "images", "training images", "accuracy", "95% interval"],
            [_row(row, groups["worst_group"]) for row in groups["per_group"]],
            numeric=(1, 2, 3, 4),
        ),
        Table(
            ["measure", "value", "95% interval"],
            [
                ["worst-group accuracy", *_cells(groups, "worst_group")],
                ["adjusted average", *_cells(groups, "adjusted_average")],
            ],
            numeric=(1, 2),
        ),
        Text(
            "The interval of the worst-group accuracy is that of the lowest true accuracy, "
            "whichever group it belongs to. The adjusted average weights the groups as in training."
            + _unweighted(groups)
            + (" How the network's epoch was selected is unknown." if selection is None else "")
            + (" The network is that of the last epoch." if selection == LAST else ""),
            is_soft=True,
        ),
    ]
    if (average := groups["adjusted_average"]) is not None:
        parts.insert(0, Text(gap_sentence(average, groups["worst_group_accuracy"])))
    if small := groups["small_groups"]:
        parts.append(
            Text(
                f"Groups of fewer than {SMALL_GROUP} images, whose accuracy is imprecise: "
                f"{', '.join(small)}."
            )
        )
    if unknown := groups["unknown_images"]:
        parts.append(Text(f"Images whose group is unknown, which are left out: {unknown}."))
    return Section("groups", "Groups", parts)


def _row(row: Mapping[str, Any], worst: str) -> list[str | StyledText]:
    training = row["training_images"]
    cells = [f"{row['images']:,}", "unknown" if training is None else f"{training:,}"]
    if row["accuracy"] is None:
        return [row["group"], *cells, "no images", ""]
    low, high = row["interval"]
    accuracy = StyledText(f"{row['accuracy']:.1%}", "worse" if row["group"] == worst else "")
    return [row["group"], *cells, accuracy, f"{low:.1%} to {high:.1%}"]


def _cells(groups: Mapping[str, Any], name: str) -> list[str]:
    value = groups["worst_group_accuracy" if name == "worst_group" else name]
    if value is None:
        return ["unknown", ""]
    low, high = groups[f"{name}_interval"]
    return [f"{value:.1%}", f"{low:.1%} to {high:.1%}"]


def _unweighted(groups: Mapping[str, Any]) -> str:
    """Return why there is no adjusted average; empty if there is one."""
    if groups["adjusted_average"] is not None:
        return ""
    if all(row["training_images"] is None for row in groups["per_group"]):
        return " It is unknown, because the groups of the training images are."
    return " It is unknown, because a group of training images has no images here."
