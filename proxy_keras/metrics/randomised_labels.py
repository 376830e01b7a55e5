"""Sanity check: a model that memorised random labels must have different heatmaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from proxy_keras.metrics.class_explainer import ClassExplainer
from proxy_keras.metrics.map_similarity import MapSimilarity, compare


def label_randomisation(
    model: keras.Model,
    twin: keras.Model,
    images: Any,
    method: str | ClassExplainer = "grad_cam_plus_plus",
    *,
    class_ids: Any = None,
    options: Mapping[str, Any] | None = None,
    batch_size: int = 32,
) -> MapSimilarity:
    """Compare the heatmaps of a model with those of its twin trained on permuted labels.

    A method with similar heatmaps shows the images or the architecture, not what was learned.

    Args:
        model: A built Keras classifier, trained on the true labels.
        twin: The same network, trained on permuted labels; see `train_on_permuted_labels`.
        images: [B, H, W, C], in the range that the models take.
        method: A name from `attribution.names()`, or a `ClassExplainer` of `model`.
        class_ids: [B] integers, or one for all, explained in both. None: predicted by `model`.
        options: Options of the method.
        batch_size: Images per batch, >= 1.

    Raises:
        ValueError: An argument has an invalid shape or value.

    Source: Adebayo et al., Sanity Checks for Saliency Maps (NeurIPS 2018), section 4.
    """
    images = np.asarray(images, np.float32)
    explainer = ClassExplainer.of(model, method, options, batch_size)
    ids = explainer.class_ids(images, class_ids)
    return compare(explainer.heatmaps(images, ids), explainer.of_other(twin).heatmaps(images, ids))


def train_on_permuted_labels(
    build: Callable[[], keras.Model],
    images: Any,
    labels: Any,
    *,
    seed: int = 0,
    **fit_options: Any,
) -> keras.Model:
    """Train a new model on the images with permuted labels.

    Args:
        build: Returns a new, compiled model.
        images: [N, H, W, C].
        labels: [N] integers or [N, K] one-hot, as the compiled loss expects. Not modified; class
            frequencies stay the same.
        seed: Seed of the permutation.
        **fit_options: Arguments of `fit`, such as `epochs`, `batch_size`, `verbose`.

    Raises:
        ValueError: The numbers of labels and images differ, or the model is not compiled.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if len(images) != len(labels):
        raise ValueError(
            f"There must be one label per image. Received: {len(labels)} for {len(images)} images."
        )
    model = build()
    if not model.compiled:
        raise ValueError(
            f"`build` must return a compiled model. Received: '{model.name}'. Call its `compile`."
        )
    permuted = labels[np.random.default_rng(seed).permutation(len(labels))]
    model.fit(images, permuted, **fit_options)
    return model
