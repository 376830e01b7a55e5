"""Pictures of what a report begins with: errors, heat off the object, disagreements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from proxy_keras.attribution import Explainer
from proxy_keras.evaluating.heatmap_images import pictured
from proxy_keras.evaluating.mistakes import heat_outside, worst_mistakes
from proxy_keras.evaluating.model_comparison import disagreements
from proxy_keras.evaluating.model_results import Examination
from proxy_keras.evaluating.report_parts import Card, Toned

DISAGREEMENTS_SHOWN = 12


def failure_pictures(
    done: Examination, other: Examination | None, batch_size: int
) -> tuple[dict[str, list[Card]], dict[str, Figure]]:
    """Cards of images, and the same as sheets, by name.

    "worst": the surest errors; "outside": heat off the object; "disagree": with another model,
    what the two answer differently. A name is missing where there are no such images.

    Args:
        done: The examination.
        other: That of the other model on the same images; None: there is none.
        batch_size: Images at a time.
    """
    cards: dict[str, list[Card]] = {}
    sheets: dict[str, Figure] = {}

    def add(
        name: str,
        positions: NDArray[np.int64],
        explainers: Sequence[Explainer | None],
        lines: Sequence[list[Toned]],
        titles: Sequence[str],
    ) -> None:
        makers = [one for one in explainers if one is not None]
        if len(positions):
            made = pictured(done.subset, positions, makers, batch_size)
            cards[name] = made.cards(lines, titles[: len(makers)])
            sheets[name] = made.sheet(lines, titles[: len(makers)])

    worst = worst_mistakes(done.predictions)
    add("worst", worst, [done.explainer], _lines(done, worst), ["heatmap"])
    if done.heatmaps is not None and done.heatmaps.objects is not None:
        objects = done.heatmaps.objects
        places = heat_outside(done.heatmaps.heat_inside, objects.area)
        outside = objects.positions[places]
        inside = dict(zip(outside.tolist(), objects.mass[places].tolist(), strict=True))
        add("outside", outside, [done.explainer], _lines(done, outside, inside), ["heatmap"])
    if other is not None:
        differ = disagreements(done, other)[:DISAGREEMENTS_SHOWN]
        add(
            "disagree",
            differ,
            [done.explainer, other.explainer],
            _lines(done, differ, other=other),
            ["heatmap of this", "heatmap of the other"],
        )
    return cards, sheets


def _lines(
    done: Examination,
    positions: NDArray[np.int64],
    inside: Mapping[int, float] | None = None,
    other: Examination | None = None,
) -> list[list[Toned]]:
    """What is written below each image: its class and what was answered."""
    lines = []
    for at in positions.tolist():
        of_class = done.subject.classes[done.predictions.labels[at]]
        said = [Toned(f"is {of_class}")]
        if other is None:
            said.append(_answer(done, at, "said"))
        else:
            said += [_answer(done, at, "this"), _answer(other, at, "other")]
        if inside is not None:
            said.append(Toned(f"{inside[at]:.0%} of the heat on it", "soft"))
        lines.append(said)
    return lines


def _answer(done: Examination, at: int, who: str) -> Toned:
    given = done.predictions
    answer = done.subject.classes[given.predicted[at]]
    tone = "better" if given.is_right[at] else "worse"
    return Toned(f"{who}: {answer} {given.confidence[at]:.0%}", tone)
