"""Classification scores, with the same definitions as in training."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP = 5
_LARGEST_MATRIX = 20
"""Largest number of classes for which the confusion matrix is printed."""


@dataclass(frozen=True)
class ClassScore:
    """Scores of one class.

    Attributes:
        name: Name of the class.
        precision: In [0, 1]; 0 if the class is never predicted.
        recall: In [0, 1]; 0 if the class has no images.
        f1: Harmonic mean of both; 0 if both are 0.
        images: Number of images of the class.
    """

    name: str
    precision: float
    recall: float
    f1: float
    images: int


@dataclass(frozen=True)
class Scores:
    """Scores of a model on a set of images.

    Attributes:
        examples: Number of images, >= 1.
        accuracy: In [0, 1].
        top5: Share of images whose class is among the five highest logits, in [0, 1].
        loss: Mean cross-entropy, in nats.
        balanced_accuracy: Mean recall of the classes that have images, in [0, 1].
        worst_class_accuracy: The lowest recall of these classes, in [0, 1].
        macro_precision: Unweighted mean of precision over the classes that have images or are
            predicted, in [0, 1].
        macro_recall: The same for recall.
        macro_f1: The same for F1.
        per_class: One entry per class of the model.
        confusion: [K, K] counts: rows are true classes, columns are predicted classes.
    """

    examples: int
    accuracy: float
    top5: float
    loss: float
    balanced_accuracy: float
    worst_class_accuracy: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    per_class: list[ClassScore]
    confusion: NDArray[np.int64]

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as JSON values, with the names used in a run's metrics.json."""
        scores = asdict(self)
        scores["per_class"] = [{"class": one.pop("name"), **one} for one in scores["per_class"]]
        scores["confusion"] = self.confusion.tolist()
        return scores

    def to_text(self) -> str:
        """Format the scores for the screen."""
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
    """An accumulator of answers, with a few bytes for each, for the scores at the end.

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
        """Return the number of answers."""
        return len(self._true)

    def add(self, logits: NDArray[np.float32], label_id: int) -> None:
        """Add the logits [K] of one image and its true class id."""
        self._true.append(label_id)
        self._answered.append(int(np.argmax(logits)))
        self._in_top += label_id in np.argsort(-logits, kind="stable")[:TOP]
        shifted = logits.astype(np.float64) - logits.max()
        self._loss += float(np.log(np.exp(shifted).sum()) - shifted[label_id])

    def scores(self) -> Scores:
        """Compute the scores of all answers.

        Raises:
            ValueError: There are no answers.
        """
        if not self._true:
            raise ValueError("No answer to score: none of the images could be used.")
        k, n = len(self._labels), len(self._true)
        cells = np.array(self._true, np.int64) * k + np.array(self._answered, np.int64)
        confusion = np.bincount(cells, minlength=k * k).reshape(k, k)
        right = confusion.diagonal().astype(np.float64)
        images, answered = confusion.sum(axis=1), confusion.sum(axis=0)
        # 0, not undefined, for classes without images or predictions.
        precision = right / np.maximum(answered, 1)
        recall = right / np.maximum(images, 1)
        f1 = 2 * right / np.maximum(images + answered, 1)
        occurs = images + answered > 0
        return Scores(
            examples=n,
            accuracy=float(right.sum() / n),
            top5=self._in_top / n,
            loss=self._loss / n,
            balanced_accuracy=float(recall[images > 0].mean()),
            worst_class_accuracy=float(recall[images > 0].min()),
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
    """Format the matrix with numbered columns, since class names can be long."""
    column = max(3, len(str(counts.max())))
    number = len(str(len(names) - 1))
    heads = " ".join(f"{at:{column}d}" for at in range(len(names)))
    lines = [
        "confusion matrix: rows are true classes, columns are predicted classes",
        f"{'':{number + 1 + width}}  {heads}",
    ]
    for at, (name, row) in enumerate(zip(names, counts, strict=True)):
        cells = " ".join(f"{count:{column}d}" for count in row)
        lines.append(f"{at:{number}d} {name:{width}}  {cells}")
    return lines
