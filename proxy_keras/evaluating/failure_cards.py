"""Image cards of a report: errors, heat off the object, disagreements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from proxy_keras.attribution import Explainer
from proxy_keras.evaluating.explained_images import explain_images
from proxy_keras.evaluating.mistakes import heat_outside, worst_mistakes
from proxy_keras.evaluating.model_comparison import disagreements
from proxy_keras.evaluating.model_results import ModelResults
from proxy_keras.evaluating.report_parts import Card, StyledText

DISAGREEMENTS_SHOWN = 12


def failure_cards(
    results: ModelResults, other: ModelResults | None, batch_size: int
) -> tuple[dict[str, list[Card]], dict[str, Figure]]:
    """Return image cards, and the same images as sheets, by name.

    The names are "worst" (most confident errors), "outside" (heat off the object) and "disagree"
    (the models' predictions differ); those without images are left out.

    Args:
        results: Results of the model.
        other: Results of another model on the same images, or None.
        batch_size: Images per batch.
    """
    cards: dict[str, list[Card]] = {}
    sheets: dict[str, Figure] = {}

    def add(
        name: str,
        positions: NDArray[np.int64],
        explainers: Sequence[Explainer | None],
        lines: Sequence[list[StyledText]],
        titles: Sequence[str],
    ) -> None:
        makers = [one for one in explainers if one is not None]
        if len(positions):
            made = explain_images(results.split, positions, makers, batch_size)
            cards[name] = made.cards(lines, titles[: len(makers)])
            sheets[name] = made.sheet(lines, titles[: len(makers)])

    worst = worst_mistakes(results.predictions)
    add("worst", worst, [results.explainer], _lines(results, worst), ["heatmap"])
    if results.heatmaps is not None and results.heatmaps.objects is not None:
        objects = results.heatmaps.objects
        places = heat_outside(results.heatmaps.heat_inside, objects.area)
        outside = objects.positions[places]
        inside = dict(zip(outside.tolist(), objects.mass[places].tolist(), strict=True))
        add("outside", outside, [results.explainer], _lines(results, outside, inside), ["heatmap"])
    if other is not None:
        differ = disagreements(results, other)[:DISAGREEMENTS_SHOWN]
        add(
            "disagree",
            differ,
            [results.explainer, other.explainer],
            _lines(results, differ, other=other),
            ["heatmap, this model", "heatmap, other model"],
        )
    return cards, sheets


def _lines(
    results: ModelResults,
    positions: NDArray[np.int64],
    inside: Mapping[int, float] | None = None,
    other: ModelResults | None = None,
) -> list[list[StyledText]]:
    """Return the caption lines of each image: its class and the predictions."""
    lines = []
    for at in positions.tolist():
        of_class = results.model.classes[results.predictions.labels[at]]
        caption = [StyledText(f"true: {of_class}")]
        if other is None:
            caption.append(_prediction(results, at, "predicted"))
        else:
            caption += [_prediction(results, at, "this"), _prediction(other, at, "other")]
        if inside is not None:
            caption.append(StyledText(f"{inside[at]:.0%} of the heat on the object", "soft"))
        lines.append(caption)
    return lines


def _prediction(results: ModelResults, at: int, label: str) -> StyledText:
    given = results.predictions
    predicted = results.model.classes[given.predicted[at]]
    tone = "better" if given.is_right[at] else "worse"
    return StyledText(f"{label}: {predicted} ({given.confidence[at]:.0%})", tone)
