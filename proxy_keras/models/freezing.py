"""Freezing a classifier's backbone, for transfer learning and to warm up a new head."""

from __future__ import annotations

import keras

HEAD = "logits"


def freeze_backbone(model: keras.Model, *, head: str = HEAD) -> None:
    """Make only the head trainable.

    Frozen BatchNormalization uses its moving statistics, also in training. Compile the model again
    afterwards for the change to take effect.

    Args:
        model: A functional classifier. Changed in place.
        head: Name of the layer that stays trainable.
    Raises:
        ValueError: The model has no layer of that name.
    """
    known = [layer.name for layer in model.layers]
    if head not in known:
        raise ValueError(
            f"The model has no layer '{head}' to keep trainable; its last layers are"
            f" {known[-3:]}. Pass for example head='{known[-1]}'."
        )
    for layer in model.layers:
        layer.trainable = layer.name == head


def unfreeze(model: keras.Model) -> None:
    """Make every layer trainable again. Compile the model again afterwards."""
    model.trainable = True
    for layer in model.layers:
        layer.trainable = True
