"""Predictions of a model for the images of a split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.data_split import DataSplit
from proxy_keras.graph.probabilities import probabilities_of
from proxy_keras.io.progress import progress_bar
from proxy_keras.metrics import CompiledClassifier


@dataclass(frozen=True)
class Predictions:
    """Logits and true classes of N images.

    Attributes:
        logits: [N, K] float32.
        labels: [N] true class ids.
        is_multi_label: Whether each class has a probability of its own, from a sigmoid.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    is_multi_label: bool = False

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """[N, K] softmax of the logits, or sigmoid."""
        return probabilities_of(self.logits, is_multi_label=self.is_multi_label)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """[N] predicted class ids."""
        return self.logits.argmax(axis=1)

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        """[N] probability of the predicted class."""
        return self.probabilities.max(axis=1)

    @cached_property
    def is_right(self) -> NDArray[np.bool_]:
        """[N] whether the prediction is correct."""
        return self.predicted == self.labels


def predict(
    classifier: CompiledClassifier,
    split: DataSplit,
    labels: NDArray[np.int64],
    *,
    batch_size: int = 64,
    progress: bool = True,
) -> Predictions:
    """Classify all images of a split, in its order.

    Args:
        classifier: The model, in float32.
        split: N images.
        labels: [N] true class ids of the model.
        batch_size: Images per batch.
        progress: Whether to show a progress bar.

    Raises:
        FloatingPointError: The model outputs non-finite values.
    """
    logits = np.empty([len(split), classifier.num_classes], np.float32)
    bar = progress_bar(total=len(split), desc="predictions", unit="image", shown=progress)
    with bar:
        for positions, images, _ in split.originals(batch_size).as_numpy_iterator():
            logits[positions] = classifier.logits(images, batch_size)
            bar.update(len(positions))
    return Predictions(logits, labels, classifier.is_multi_label)
