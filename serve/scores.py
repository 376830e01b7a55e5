"""Scores of answers against true classes, by the definitions that training reports them by."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP = 5
_LARGEST_MATRIX = 20
"""Classes up to which the confusion matrix is printed."""


@dataclass(frozen=True)
class ClassScore:
    """How well one class is told.

    Attributes:
        name: The class.
        precision: Share of the images called so that are so; 0 where none is called so.
        recall: Share of its images that are called so; 0 where it has none.
        f1: Harmonic mean of the two; 0 where both are 0.
        images: Number of its images.
    """

    name: str
    precision: float
    recall: float
    f1: float
    images: int


@dataclass(frozen=True)
class Scores:
    """How well answers fit true classes.

    Attributes:
        examples: Number of images, >= 1.
        accuracy: Share answered right, in [0, 1].
        top5: Share whose class is among the five highest logits (of fewer classes: all).
        loss: Mean cross-entropy, nats.
        macro_precision: Unweighted mean of precision over the classes that have images or are
            answered, in [0, 1].
        macro_recall: The same of recall.
        macro_f1: The same of F1.
        per_class: One entry per class of the model.
        confusion: [K, K] counts: row the true class, column the answered one.
    """

    examples: int
    accuracy: float
    top5: float
    loss: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    per_class: list[ClassScore]
    confusion: NDArray[np.int64]

    def to_dict(self) -> dict[str, Any]:
        """The scores as JSON values, under the names that a run's metrics.json gives them."""
        return {
            "examples": self.examples,
            "accuracy": self.accuracy,
            "top5": self.top5,
            "loss": self.loss,
            "macro_precision": self.macro_precision,
            "macro_recall": self.macro_recall,
            "macro_f1": self.macro_f1,
            "per_class": [
                {
                    "class": one.name,
                    "precision": one.precision,
                    "recall": one.recall,
                    "f1": one.f1,
                    "images": one.images,
                }
                for one in self.per_class
            ],
            "confusion": self.confusion.tolist(),
        }

    def to_text(self) -> str:
        """The scores as lines for the screen."""
        right = int(np.trace(self.confusion))
        lines = [f"accuracy   {self.accuracy:.2%} ({right:,} of {self.examples:,})"]
        if len(self.per_class) > TOP:
            lines.append(f"top 5      {self.top5:.2%}")
        lines += [f"macro F1   {self.macro_f1:.4f}", f"loss       {self.loss:.4f}", ""]
        names = [one.name for one in self.per_class]
        width = max(len("class"), *map(len, names))
        lines.append(f"{'class':{width}}  precision  recall      F1  images")
        lines += [
            f"{one.name:{width}}  {one.precision:9.4f}  {one.recall:6.4f}  {one.f1:6.4f}  "
            f"{one.images:6d}"
            for one in self.per_class
        ]
        if len(names) <= _LARGEST_MATRIX:
            lines += ["", *_matrix_lines(self.confusion, names, width)]
        return "\n".join(lines)


class ScoreAccumulator:
    """Collects answers one by one, in a few bytes each, and scores them at the end.

    Args:
        labels: [K] class names of the model.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._true = array("i")
        self._answered = array("i")
        self._in_top = 0
        self._loss = 0.0

    def __len__(self) -> int:
        """The number of answers."""
        return len(self._true)

    def add(self, logits: NDArray[np.float32], label_id: int) -> None:
        """Takes the logits [K] of one image and its true class."""
        self._true.append(label_id)
        self._answered.append(int(np.argmax(logits)))
        self._in_top += label_id in np.argsort(-logits, kind="stable")[:TOP]
        shifted = logits.astype(np.float64) - logits.max()
        self._loss += float(np.log(np.exp(shifted).sum()) - shifted[label_id])

    def scores(self) -> Scores:
        """The scores of all answers.

        Raises:
            ValueError: There are none.
        """
        if not self._true:
            raise ValueError("No answer to score: none of the images could be used.")
        k, n = len(self._labels), len(self._true)
        cells = np.array(self._true, np.int64) * k + np.array(self._answered, np.int64)
        confusion = np.bincount(cells, minlength=k * k).reshape(k, k)
        right = confusion.diagonal().astype(np.float64)
        images, answered = confusion.sum(axis=1), confusion.sum(axis=0)
        # With no image or no answer in a class, its share is 0, not undefined.
        precision = right / np.maximum(answered, 1)
        recall = right / np.maximum(images, 1)
        f1 = 2 * right / np.maximum(images + answered, 1)
        occurs = images + answered > 0
        return Scores(
            examples=n,
            accuracy=float(right.sum() / n),
            top5=self._in_top / n,
            loss=self._loss / n,
            macro_precision=float(precision[occurs].mean()),
            macro_recall=float(recall[occurs].mean()),
            macro_f1=float(f1[occurs].mean()),
            per_class=[
                ClassScore(name, float(p), float(r), float(f), int(count))
                for name, p, r, f, count in zip(
                    self._labels, precision, recall, f1, images, strict=True
                )
            ],
            confusion=confusion,
        )


def _matrix_lines(counts: NDArray[np.int64], names: Sequence[str], width: int) -> list[str]:
    """The matrix with its columns numbered, so that long names do not spread it."""
    column = max(3, len(str(counts.max())))
    number = len(str(len(names) - 1))
    heads = " ".join(f"{at:{column}d}" for at in range(len(names)))
    lines = [
        "confusion: row the true class, column the answered one",
        f"{'':{number + 1 + width}}  {heads}",
    ]
    for at, (name, row) in enumerate(zip(names, counts, strict=True)):
        cells = " ".join(f"{count:{column}d}" for count in row)
        lines.append(f"{at:{number}d} {name:{width}}  {cells}")
    return lines
