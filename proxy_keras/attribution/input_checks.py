"""Checks of the arrays that enter and leave an explainer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from proxy_keras.attribution.target import ScoreFunction
from proxy_keras.graph import FlatClone


def check_channels_last(flat: FlatClone) -> None:
    """Check that no layer of a network takes images [B, C, H, W].

    Raises:
        ValueError: One does: its maps would be read along the wrong axes.
    """
    for operation in flat.model.operations:
        # `Flatten` has the setting too, and only orders its output by it.
        if getattr(operation, "data_format", None) == "channels_first" and not isinstance(
            operation, keras.layers.Flatten
        ):
            raise ValueError(
                f"Heatmaps need maps [B, h, w, C]. Layer '{operation.name}' "
                f"({type(operation).__name__}) has data_format='channels_first'. Build the model "
                "with data_format='channels_last', or after "
                "keras.config.set_image_data_format('channels_last')."
            )


def check_images(images: Any, image_shape: tuple[int | None, ...]) -> tf.Tensor:
    """Return images as float32, checked to be a batch of this shape."""
    images = tf.cast(tf.convert_to_tensor(images), tf.float32)
    if images.shape.rank == len(image_shape):
        raise ValueError(
            f"Images must be a batch [B, H, W, C]. Received: shape {tuple(images.shape)}. "
            "For a single image pass images[None]."
        )
    if not images.shape[1:].is_compatible_with(image_shape):
        raise ValueError(
            f"The model takes images {image_shape}. Received: batch of shape "
            f"{tuple(images.shape)}. Resize them first."
        )
    return images


def check_labels(
    labels: Any, count: int, num_classes: int, explain: str | ScoreFunction
) -> tf.Tensor:
    """Return labels [count] int32, checked if `explain` needs them, else zeros."""
    if explain == "predicted" or callable(explain):
        return tf.zeros([count], tf.int32)
    if labels is None:
        raise ValueError(f"explain='{explain}' needs `labels`, [B] integers.")
    labels = np.asarray(labels)
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"`labels` must be {count} integers, one per image. Received: shape "
            f"{labels.shape}, dtype {labels.dtype}. For one-hot labels pass their argmax."
        )
    if count and not (labels.min() >= 0 and labels.max() < num_classes):
        raise ValueError(
            f"`labels` must be in [0, {num_classes}). Received: {labels.min()} to {labels.max()}"
        )
    return tf.constant(labels, tf.int32)


def check_finite(what: str, values: np.ndarray, layer: str | None) -> None:
    """Check the first axis of `values` for examples with values that are not finite."""
    broken = int((~np.isfinite(values.reshape(len(values), -1))).any(axis=1).sum())
    if broken:
        near = "" if layer is None else f" before and after layer '{layer}'"
        raise FloatingPointError(
            f"{broken} of {len(values)} {what} are not finite. Look for NaN in the weights"
            f"{near}, and in the images."
        )
