"""The function `explain`: heatmaps of images in one call."""

from __future__ import annotations

from typing import Any, Literal

import keras
import numpy as np

from proxy_keras.attribution.explainer import Explainer
from proxy_keras.attribution.target import ScoreFunction
from proxy_keras.heatmaps import scaling
from proxy_keras.io.progress import progress_bar


def explain(
    model: keras.Model,
    images: Any,
    method: str = "grad_cam_plus_plus",
    *,
    class_ids: Any = None,
    target_layer: str | None = None,
    explain: str | ScoreFunction | None = None,
    engine: str = "compiled",
    size: tuple[int, int] | Literal["image"] | None = None,
    batch_size: int = 32,
    progress: bool = False,
    **options: Any,
) -> np.ndarray:
    """Return heatmaps [B, h, w] float32 in [0, 1] of where the model looks in these images.

    Each call copies and traces the model; for many calls create one `Explainer`.

    Args:
        model: Any built Keras 3 classifier.
        images: [B, H, W, C], any real dtype, in the range that the model takes.
        method: A name from `attribution.names()`.
        class_ids: [B] integers, or one for all: the class to explain. None: the predicted one.
        target_layer: See `Explainer`.
        explain: "contrast": the predicted class minus `class_ids`; or a callable or `Score` of
            the logits; see `Explainer`. None: the class given by `class_ids`.
        engine: See `Explainer`.
        size: Size of the heatmaps: None for the method's own resolution, "image" for that of the
            images, or (H, W). Enlarged bilinearly with half-pixel centres.
        batch_size: Images per batch, >= 1.
        progress: Whether to show a progress bar.
        **options: `smooth` and the method's own options.

    Returns:
        [B, h, w] float32 in [0, 1]; a blank heatmap is all zeros.

    Raises:
        ValueError: As `Explainer`, or `size` or `batch_size` is invalid.
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be >= 1. Received: {batch_size}")
    images = np.asarray(images)
    indices = getattr(explain, "indices", None)
    if indices is not None:
        # A CategoricalScore of tf-keras-vis has one class per image, but images are batched here.
        explain, class_ids = "true", indices
    if explain is None:
        explain = "predicted" if class_ids is None else "true"
    explainer = Explainer(
        model,
        method,
        explain=explain,
        target_layer=target_layer,
        engine=engine,
        progress=progress,
        **options,
    )
    if size is not None and size != "image" and (len(size) != 2 or min(size) < 1):
        raise ValueError(f"`size` must be None, 'image' or (height, width). Received: {size!r}")
    labels = None if class_ids is None else np.broadcast_to(class_ids, images.shape[:1])
    parts = []
    starts = range(0, max(len(images), 1), batch_size)
    for start in progress_bar(starts, desc=method, leave=False, shown=progress):
        batch = slice(start, start + batch_size)
        heat = explainer.heatmaps(images[batch], None if labels is None else labels[batch])
        if size is not None:
            target = images.shape[1:3] if size == "image" else size
            heat = scaling.enlarge(heat, target).numpy()
        parts.append(heat)
    return np.concatenate(parts)
