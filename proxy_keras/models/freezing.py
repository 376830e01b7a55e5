"""Freezing a classifier's backbone, for transfer learning and to warm up a new head."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import keras

from proxy_keras.models.cut import cut_before, last_cut

HEAD = "logits"


def freeze_backbone(model: keras.Model, *, before: str | None = None) -> None:
    """Freeze all layers but the last one, or all that come before a layer or stage.

    Frozen layers run as in inference, also in training: BatchNormalization uses its moving
    statistics, and Dropout and other random layers do nothing. Trained ones behave as in any
    training: their BatchNormalization uses the statistics of the batch and updates the moving ones.
    Compile the model again afterwards for the change to take effect. `unfreeze` undoes it.

    Args:
        model: A functional or sequential classifier. Changed in place.
        before: The first layer that stays trainable, with all that follow: its name, or what the
            names of a stage's layers begin with, such as `conv5` of `resnet50`. It may be in a
            nested model. None: only the last layer with weights stays trainable.
    Raises:
        ValueError: There is no such layer, or some path to the output bypasses its input. The
            message lists the names that are possible.
    """
    kept = [last_cut(model).layer] if before is None else cut_before(model, before).layers_after()
    unfreeze(model)
    _freeze_all_but({id(layer) for layer in kept}, model)


def unfreeze(model: keras.Model) -> None:
    """Make every layer trainable again. Compile the model again afterwards."""
    model.trainable = True
    for layer in model._flatten_layers():
        layer.trainable = True
        if "call" in vars(layer):
            del layer.call


def _freeze_all_but(kept: set[int], model: keras.Model) -> None:
    for layer in model.layers:
        parts = list(layer._flatten_layers())
        if id(layer) in kept:
            continue
        if any(id(part) in kept for part in parts):
            _freeze_all_but(kept, layer)
            continue
        layer.trainable = False
        for part in filter(_differs_in_training, parts):
            part.call = _in_inference(part.call)


def _differs_in_training(layer: keras.Layer) -> bool:
    """Return whether a frozen layer would still see in its call that the model is training."""
    # Keras itself runs frozen BatchNormalization in inference. Models only pass `training` on.
    own_way = (keras.layers.BatchNormalization, keras.Model)
    return layer._call_has_training_arg and not isinstance(layer, own_way)


def _in_inference(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def call_in_inference(*args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        return call(*args, training=False, **kwargs)

    return call_in_inference
