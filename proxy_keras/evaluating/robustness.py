"""How many answers stay right on corrupted images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm.auto import tqdm

from proxy_keras.data.data_split import Subset
from proxy_keras.evaluating.corruptions import CORRUPTIONS, SEVERITIES, corrupt

Predict = Callable[[NDArray[np.float32]], ArrayLike]
"""Images [B, P, P, 3] float32 in [0, 255] -> logits or probabilities [B, K]."""


@dataclass(frozen=True)
class Robustness:
    """Which answers are right, image by image.

    Attributes:
        positions: [n] which of the split's images were tried, ascending.
        clean: [n] bool, of the images as they are.
        corrupted: For each corruption [3, n] bool, by severity, mild first.
    """

    positions: NDArray[np.int64]
    clean: NDArray[np.bool_]
    corrupted: dict[str, NDArray[np.bool_]]

    @property
    def clean_accuracy(self) -> float:
        """Share right of the images as they are."""
        return float(self.clean.mean())

    @property
    def accuracies(self) -> dict[str, list[float]]:
        """For each corruption the share right, by severity."""
        return {name: right.mean(axis=1).tolist() for name, right in self.corrupted.items()}

    @property
    def drops(self) -> dict[str, list[float]]:
        """For each corruption what it takes from the accuracy, by severity; below 0: it adds."""
        clean = self.clean_accuracy
        return {name: [clean - one for one in values] for name, values in self.accuracies.items()}

    @property
    def shares_right(self) -> NDArray[np.float64]:
        """[n] of each image the share of its corrupted copies that are answered right."""
        return np.concatenate(list(self.corrupted.values())).mean(axis=0)

    @property
    def mean_accuracy(self) -> float:
        """Share right of all corrupted copies: the mean of all corruptions and severities."""
        return float(self.shares_right.mean())

    @property
    def mean_drop(self) -> float:
        """What corruption takes from the accuracy on average."""
        return self.clean_accuracy - self.mean_accuracy

    def to_dict(self) -> dict[str, Any]:
        """The accuracies as JSON values."""
        return {"mean_accuracy": self.mean_accuracy, "corruptions": self.accuracies}


def measure_robustness(
    predict: Predict,
    subset: Subset,
    labels: ArrayLike,
    *,
    positions: NDArray[np.int64] | None = None,
    batch_size: int = 64,
    seed: int = 0,
    progress: bool = True,
) -> Robustness:
    """The answers for a subset's images, as they are and corrupted in every way.

    Each image is read once; no more than a batch and one corrupted copy of it is in memory.

    Args:
        predict: The model.
        subset: N images.
        labels: [N] their true classes, by the model's class ids.
        positions: [n] which images are tried, each once; None: all.
        batch_size: Images at a time, >= 1.
        seed: Keys the draws, see `corrupt`.
        progress: Shows a bar.

    Raises:
        ValueError: `labels` is not [N], or no image is to be tried.
    """
    truth = np.asarray(labels)
    if truth.shape != (len(subset),):
        raise ValueError(
            f"`labels` must be one per image, [{len(subset)}]. Received: {list(truth.shape)}"
        )
    tried = np.arange(len(subset)) if positions is None else np.sort(positions).astype(np.int64)
    if not tried.size:
        raise ValueError("Robustness needs at least one image. Received: none.")
    clean = np.empty(len(tried), bool)
    corrupted = {name: np.empty([len(SEVERITIES), len(tried)], bool) for name in CORRUPTIONS}
    copies = 1 + len(CORRUPTIONS) * len(SEVERITIES)
    with tqdm(
        total=len(tried) * copies, desc="corruptions", unit="image", disable=not progress
    ) as bar:
        for found, images, _ in subset.originals(batch_size, tried).as_numpy_iterator():
            places = np.searchsorted(tried, found)
            clean[places] = _answers(predict, images) == truth[found]
            bar.update(len(found))
            for name, right in corrupted.items():
                for row, severity in enumerate(SEVERITIES):
                    worse = corrupt(images, name, severity, found, seed=seed)
                    right[row, places] = _answers(predict, worse) == truth[found]
                    bar.update(len(found))
    return Robustness(tried, clean, corrupted)


def _answers(predict: Predict, images: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.asarray(predict(images)).argmax(axis=1)
