"""What a model answers for each image of a split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from tqdm.auto import tqdm

from proxy_keras.data.data_split import Subset
from proxy_keras.metrics import CompiledClassifier


@dataclass(frozen=True)
class Predictions:
    """Answers beside the truth.

    Attributes:
        logits: [N, K] float32.
        labels: [N] the true class ids.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """[N, K] softmax of the logits."""
        return softmax(self.logits.astype(np.float64), axis=1)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """[N] class ids of the highest logit."""
        return self.logits.argmax(axis=1)

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        """[N] the probability of the predicted class."""
        return self.probabilities.max(axis=1)

    @cached_property
    def is_right(self) -> NDArray[np.bool_]:
        """[N] whether the predicted class is the true one."""
        return self.predicted == self.labels


def predict(
    classifier: CompiledClassifier,
    subset: Subset,
    labels: NDArray[np.int64],
    *,
    batch_size: int = 64,
    progress: bool = True,
) -> Predictions:
    """The answers for all images of a subset, in its order.

    Args:
        classifier: The model, in float32.
        subset: N images.
        labels: [N] their true classes, by the model's class ids.
        batch_size: Images at a time.
        progress: Shows a bar.

    Raises:
        FloatingPointError: The model computes values that are not finite.
    """
    logits = np.empty([len(subset), classifier.num_classes], np.float32)
    bar = tqdm(total=len(subset), desc="answers", unit="image", disable=not progress)
    with bar:
        for positions, images, _ in subset.originals(batch_size).as_numpy_iterator():
            logits[positions] = classifier.logits(images, batch_size)
            bar.update(len(positions))
    return Predictions(logits, labels)
