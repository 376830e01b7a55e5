"""Accuracy of a model on corrupted images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proxy_keras.data.data_split import DataSplit
from proxy_keras.evaluating.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from proxy_keras.io.progress import progress_bar

Predict = Callable[[NDArray[np.float32]], ArrayLike]
"""Images [B, P, P, 3] float32 in [0, 255] -> logits or probabilities [B, K]."""


@dataclass(frozen=True)
class Robustness:
    """Which corrupted images are classified correctly.

    Attributes:
        corrupted: [3, N] bool for each corruption, by severity (mildest first) and image.
    """

    corrupted: dict[str, NDArray[np.bool_]]

    @property
    def accuracies(self) -> dict[str, list[float]]:
        """Accuracy for each corruption, by severity."""
        return {name: right.mean(axis=1).tolist() for name, right in self.corrupted.items()}

    @property
    def shares_right(self) -> NDArray[np.float64]:
        """[N] share of each image's corrupted copies that are classified correctly."""
        return np.concatenate(list(self.corrupted.values())).mean(axis=0)

    @property
    def mean_accuracy(self) -> float:
        """Mean accuracy over all corruptions and severities."""
        return float(self.shares_right.mean())

    def to_dict(self) -> dict[str, Any]:
        """Return the accuracies as JSON values."""
        return {"mean_accuracy": self.mean_accuracy, "corruptions": self.accuracies}


def measure_robustness(
    predict: Predict,
    split: DataSplit,
    labels: ArrayLike,
    *,
    batch_size: int = 64,
    seed: int = 0,
    progress: bool = True,
) -> Robustness:
    """Classify the images of a split under every corruption and severity.

    Each image is read once; memory holds one batch and one corrupted copy of it.

    Args:
        predict: The model.
        split: N images.
        labels: [N] true class ids of the model.
        batch_size: Images per batch, >= 1.
        seed: Seed of the corruptions, see `corrupt`.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: `labels` is not [N].
    """
    truth = np.asarray(labels)
    if truth.shape != (len(split),):
        raise ValueError(
            f"`labels` must be one per image, [{len(split)}]. Received: {list(truth.shape)}"
        )
    corrupted = {name: np.empty([len(SEVERITIES), len(truth)], bool) for name in CORRUPTIONS}
    copies = len(CORRUPTIONS) * len(SEVERITIES)
    with progress_bar(
        total=len(truth) * copies,
        desc="corruptions",
        unit="image",
        shown=progress,
    ) as bar:
        for positions, images, _ in split.originals(batch_size).as_numpy_iterator():
            for name, right in corrupted.items():
                for row, severity in enumerate(SEVERITIES):
                    worse = corrupt(images, name, severity, positions, seed=seed)
                    predicted = np.asarray(predict(worse)).argmax(axis=1)
                    right[row, positions] = predicted == truth[positions]
                    bar.update(len(positions))
    return Robustness(corrupted)
