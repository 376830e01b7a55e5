"""Classification scores of a model on a split, by scikit-learn's definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.data_split import DataSplit
from proxy_keras.graph.probabilities import cross_entropies
from proxy_keras.io.extras import extra
from proxy_keras.io.progress import progress_bar

MOST_IN_MATRIX = 200
"""Classes up to which the confusion matrix is written in full: 1,800 would take 70 MB a run."""


@dataclass(frozen=True)
class Scores:
    """Classification scores.

    Attributes:
        examples: Number of images.
        accuracy: Share classified correctly, in [0, 1].
        top5: Share whose class is among the five highest logits, in [0, 1].
        loss: Mean cross-entropy, nats.
        balanced_accuracy: Mean recall of the classes that have images, in [0, 1].
        worst_class_accuracy: The lowest recall of these classes, in [0, 1].
        macro_precision: Mean precision of the classes that have images or are predicted, in [0, 1];
            0 for a class that is never predicted.
        macro_recall: Mean recall of the same classes, in [0, 1]; 0 for a class without images.
        macro_f1: Mean F1 of the same classes, in [0, 1].
        per_class: Name, precision, recall, F1 and number of images of each class.
        confusion: [K, K] counts; rows are true classes, columns predicted classes.
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
    per_class: list[dict[str, Any]]
    confusion: NDArray[np.int64]

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as JSON values.

        With more than `MOST_IN_MATRIX` classes, `confusion_cells` stands in place of `confusion`:
        (true class id, predicted class id, count) of each cell that is not 0.
        """
        scores = dict(vars(self))
        counts: NDArray[np.int64] = scores.pop("confusion")
        if len(counts) <= MOST_IN_MATRIX:
            return {**scores, "confusion": counts.tolist()}
        cells = np.argwhere(counts)
        return {**scores, "confusion_cells": np.c_[cells, counts[tuple(cells.T)]].tolist()}


def saved_confusion(scores: Mapping[str, Any]) -> NDArray[np.int64]:
    """Return the confusion matrix [K, K] in what `Scores.to_dict` returned."""
    if "confusion" in scores:
        return np.asarray(scores["confusion"], np.int64)
    counts = np.zeros([len(scores["per_class"])] * 2, np.int64)
    true, predicted, values = np.asarray(scores["confusion_cells"], np.int64).T
    counts[true, predicted] = values
    return counts


def predict_logits(
    model: keras.Model, split: DataSplit, batch_size: int, *, progress: bool = True
) -> NDArray[np.float32]:
    """Return the logits of a split's images in the order of its ids, [N, K] float32.

    `progress` shows a progress bar.
    """
    logits = np.empty([len(split), len(split.classes)], np.float32)
    bar = progress_bar(
        total=len(split), desc=f"scoring {split.name}", unit="image", leave=False, shown=progress
    )
    with bar:
        for positions, images, _ in split.originals(batch_size):
            logits[positions.numpy()] = model.predict_on_batch(images)
            bar.update(len(positions))
    return logits


def score(
    logits: NDArray[np.float32],
    labels: NDArray[np.int32],
    classes: Sequence[str],
    *,
    is_multi_label: bool = False,
) -> Scores:
    """Score logits [N, K] against class ids [N]; for `is_multi_label` see `cross_entropies`."""
    with extra("train"):
        from sklearn import metrics

    ids = range(len(classes))
    predicted = np.argmax(logits, axis=1)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=ids, zero_division=0.0
    )
    occurs = (support > 0) | np.isin(ids, predicted)
    losses = cross_entropies(logits, labels, is_multi_label=is_multi_label)
    top = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    return Scores(
        examples=len(labels),
        accuracy=float(np.mean(predicted == labels)),
        top5=float(np.mean((top == labels[:, np.newaxis]).any(axis=1))),
        loss=float(losses.mean()),
        balanced_accuracy=float(recall[support > 0].mean()),
        worst_class_accuracy=float(recall[support > 0].min()),
        macro_precision=float(precision[occurs].mean()),
        macro_recall=float(recall[occurs].mean()),
        macro_f1=float(f1[occurs].mean()),
        per_class=[
            {
                "class": classes[k],
                "precision": float(precision[k]),
                "recall": float(recall[k]),
                "f1": float(f1[k]),
                "images": int(support[k]),
            }
            for k in ids
        ],
        confusion=metrics.confusion_matrix(labels, predicted, labels=ids),
    )
