"""Filters with sparse responses to natural images, learned by independent component analysis."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from proxy_keras.io.extras import extra

PATCH = 8
_FILTERS = 48
_PATCHES_PER_PHOTO = 5000


@lru_cache(maxsize=1)
def natural_image_filters() -> np.ndarray:
    """Return filters [8, 8, 1, 48] float32 of sum 0, learned from patches of two photos.

    The photos are scikit-learn's. Patches are drawn with a fixed seed, so the filters are always
    the same. Learning them takes a second, once per process.
    """
    # Imported here, because it is slow to import.
    with extra("explain"):
        from sklearn.datasets import load_sample_images
        from sklearn.decomposition import FastICA
        from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(0)
    patches = []
    for photo in load_sample_images().images:
        grey = photo[: len(photo) // 2 * 2].mean(axis=-1) / 255
        # Half the size, because adjacent pixels of a full-size photo hardly differ.
        grey = grey.reshape(grey.shape[0] // 2, 2, grey.shape[1] // 2, 2).mean(axis=(1, 3))
        windows = np.lib.stride_tricks.sliding_window_view(grey, (PATCH, PATCH))
        rows = rng.integers(0, windows.shape[0], _PATCHES_PER_PHOTO)
        columns = rng.integers(0, windows.shape[1], _PATCHES_PER_PHOTO)
        patches.append(windows[rows, columns].reshape(_PATCHES_PER_PHOTO, -1))
    samples = np.concatenate(patches)
    samples -= samples.mean(axis=1, keepdims=True)
    # The initial guess already meets a looser tolerance, without any learning.
    analysis = FastICA(_FILTERS, whiten="unit-variance", tol=1e-3, max_iter=1000, random_state=0)
    # Small products are slower on several threads, and their order of summation would vary.
    with threadpool_limits(1):
        analysis.fit(samples)
    filters = analysis.components_.reshape(_FILTERS, PATCH, PATCH, 1)
    return np.transpose(filters, [1, 2, 3, 0]).astype(np.float32)
