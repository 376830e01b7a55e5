"""LIME."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from proxy_keras.attribution.masking import ScoredImages
from proxy_keras.attribution.masking_options import LIMEOptions
from proxy_keras.attribution.superpixels import SuperpixelMethod
from proxy_keras.io.extras import extra


class LIME(LIMEOptions, SuperpixelMethod):
    """Weights of superpixels in a linear model of the class probability near the image.

    The `lime` package fits the model by ridge regression, weighted by similarity to the image.
    Unlike in its image explainer, images are masked in batches.

    Source: Ribeiro, Singh and Guestrin, "Why Should I Trust You?": Explaining the Predictions of
    Any Classifier (KDD 2016).
    """

    def weights(self, scored: ScoredImages, labels: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the linear models' coefficients; see `SuperpixelMethod`."""
        counts = labels.max(axis=(1, 2)) + 1
        batch = len(counts)
        shown = np.zeros([batch, self.samples, counts.max()], bool)
        for place, count in enumerate(counts):
            shown[place, :, :count] = self._draw(count)
        owners = np.repeat(np.arange(batch), self.samples)
        coalitions = shown.reshape(len(owners), -1)
        changes = self.coalition_changes(scored, labels, owners, coalitions)
        weights = np.zeros([batch, counts.max()], np.float32)
        for place, count in enumerate(counts):
            answers = changes.reshape(batch, self.samples)[place]
            weights[place, :count] = self._fit(shown[place, :, :count], answers)
        return weights

    def _draw(self, count: int) -> NDArray[np.bool_]:
        """Return coalitions [samples, count], the same for images with equal superpixel counts."""
        random = np.random.RandomState(self.seed)
        drawn = random.randint(0, 2, self.samples * count).reshape(self.samples, count) == 1
        drawn[0] = True
        return drawn

    def _fit(self, shown: NDArray[np.bool_], changes: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return coefficients [n] of a model of changes [samples] by coalitions [samples, n]."""
        # Imported here, because both are slow to import.
        with extra("explain"):
            from lime.lime_base import LimeBase
            from sklearn.metrics import pairwise_distances

        data = shown.astype(np.float64)
        distances = pairwise_distances(data, data[:1], metric="cosine").ravel()
        base = LimeBase(self._nearness, random_state=self.seed)
        _, coefficients, _, _ = base.explain_instance_with_data(
            data,
            changes[:, np.newaxis].astype(np.float64),
            distances,
            label=0,
            num_features=data.shape[1],
            feature_selection="none",
        )
        result = np.zeros(data.shape[1])
        for superpixel, coefficient in coefficients:
            result[superpixel] = coefficient
        return result

    def _nearness(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(-np.square(distances / self.kernel_width) / 2)
