"""Predictions: classes with their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve.card import ModelCard
from serve.model import Answers


@dataclass(frozen=True, slots=True)
class Prediction:
    """A predicted class.

    Attributes:
        class_name: Name of the class.
        class_id: Index in the model's labels.
        probability: In [0, 1].
    """

    class_name: str
    class_id: int
    probability: float

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as JSON values."""
        return {
            "class": self.class_name,
            "class_id": self.class_id,
            "probability": self.probability,
        }


def cue_shares(answers: Answers, card: ModelCard) -> dict[str, float] | None:
    """Return the share of the first image's evidence on each cue, by name; None without cues."""
    if answers.cues is None:
        return None
    return {cue.name: float(share) for cue, share in zip(card.cues, answers.cues[0], strict=True)}


def is_marked(ticked_share: float | None, max_ticked: float | None) -> bool | None:
    """Return whether an answer rests on ticked cues by more than a limit.

    Args:
        ticked_share: Share of its evidence on ticked cues; None: the model has no cues.
        max_ticked: The limit; None: none is set.

    Returns:
        None if there is no share or no limit.
    """
    return None if ticked_share is None or max_ticked is None else ticked_share > max_ticked


def top_k(
    probabilities_row: NDArray[np.float32],
    labels: Sequence[str],
    k: int,
    *,
    logits_row: NDArray[np.float32] | None = None,
) -> list[Prediction]:
    """Return the k most probable classes, most probable first; ties go to the lower class id.

    Args:
        probabilities_row: [K] in [0, 1].
        labels: [K] class names.
        k: Number of classes; all if there are fewer.
        logits_row: [K]. If given, used for sorting: different logits can have the same rounded
            probability.

    Raises:
        ValueError: `k` is below 1, or the lengths differ.
    """
    if k < 1:
        raise ValueError(f"`k` must be >= 1. Received: {k}")
    if probabilities_row.shape != (len(labels),):
        raise ValueError(
            f"One probability per class is needed: {len(labels)}. Received: "
            f"{list(probabilities_row.shape)}"
        )
    order = np.argsort(-(probabilities_row if logits_row is None else logits_row), kind="stable")
    return [
        Prediction(labels[class_id], int(class_id), float(probabilities_row[class_id]))
        for class_id in order[:k]
    ]
