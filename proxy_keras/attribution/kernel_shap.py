"""Kernel SHAP."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.attribution.masking import ScoredImages
from proxy_keras.attribution.masking_options import KernelSHAPOptions
from proxy_keras.attribution.superpixels import SuperpixelMethod
from proxy_keras.io.extras import extra


class KernelSHAP(KernelSHAPOptions, SuperpixelMethod):
    """Shapley values of superpixels, by weighted least squares over coalitions.

    The values of an image's superpixels sum to the class probability of the image minus that of
    the baseline. They are exact if `samples` covers all 2^n - 2 coalitions. The `shap` package
    draws the coalitions and solves for the values.

    Source: Lundberg and Lee, A Unified Approach to Interpreting Model Predictions (NeurIPS 2017).
    """

    def weights(self, scored: ScoredImages, labels: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the Shapley values; see `SuperpixelMethod`."""
        explainer = _kernel_explainer()
        counts = labels.max(axis=(1, 2)) + 1
        weights = np.zeros([len(counts), counts.max()], np.float32)
        for place, count in enumerate(counts):

            def value(coalitions: NDArray[np.float64], place: int = place) -> NDArray[np.float64]:
                owners = np.full(len(coalitions), place)
                changes = self.coalition_changes(scored, labels, owners, coalitions > 0)
                return changes.astype(np.float64)

            with _numpy_seeded(self.seed):
                weights[place, :count] = explainer(value, np.zeros([1, count])).shap_values(
                    np.ones(count), nsamples=self.samples, l1_reg=False, silent=True
                )
        return weights


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """Seed NumPy's global state, which shap uses, and restore it on exit."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)


def _kernel_explainer() -> Any:
    """Return `shap.KernelExplainer`, imported here because shap is slow to import."""
    with warnings.catch_warnings():
        # Its colour maps use methods that Matplotlib will deprecate.
        warnings.filterwarnings(
            "ignore", message="The set_(bad|over|under)", category=PendingDeprecationWarning
        )
        with extra("explain"):
            from shap import KernelExplainer
    return KernelExplainer
