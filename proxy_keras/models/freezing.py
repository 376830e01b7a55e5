"""Freezing a classifier's backbone, for transfer learning and to warm up a new head."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import keras

from proxy_keras.graph import has_graph, nodes_to

HEAD = "logits"


def last_layer(model: keras.Model) -> keras.Layer:
    """Return the last layer with weights, also if it is inside a nested model.

    Args:
        model: A functional or sequential classifier.

    Raises:
        ValueError: The model has no layer with weights, or no graph of layers.
    """
    operation = last_node(model).operation
    return last_layer(operation) if isinstance(operation, keras.Model) else operation


def last_node(model: keras.Model) -> Any:
    """Return the last node with weights of the model's own graph; it may be a nested model.

    Raises:
        ValueError: The model has no layer with weights, or no graph of layers.
    """
    if has_graph(model):
        for node in reversed(nodes_to(model.outputs)):
            if getattr(node.operation, "weights", None):
                return node
    raise ValueError(
        f"The last layer of model '{model.name}' is unknown: it has no weights, or it is inside a "
        f"subclassed model. Build it as keras.Model(inputs, outputs). Received: "
        f"{type(model).__name__}"
    )


def freeze_backbone(model: keras.Model, *, head: str | None = None) -> None:
    """Make only the head trainable.

    All other layers run as in inference, also in training: BatchNormalization uses its moving
    statistics, and Dropout and other random layers do nothing. Compile the model again afterwards
    for the change to take effect. `unfreeze` undoes it.

    Args:
        model: A functional or sequential classifier. Changed in place.
        head: Name of the layer that stays trainable; None: the last one with weights.
    Raises:
        ValueError: The model has no such layer.
    """
    if head is None:
        kept = last_layer(model)
    else:
        known = {layer.name: layer for layer in model.layers}
        if head not in known:
            raise ValueError(
                f"The model has no layer '{head}' to keep trainable; its last layers are"
                f" {list(known)[-3:]}. Pass for example head='{list(known)[-1]}'."
            )
        kept = known[head]
    unfreeze(model)
    _freeze_all_but(kept, model)


def unfreeze(model: keras.Model) -> None:
    """Make every layer trainable again. Compile the model again afterwards."""
    model.trainable = True
    for layer in model._flatten_layers():
        layer.trainable = True
        if "call" in vars(layer):
            del layer.call


def _freeze_all_but(kept: keras.Layer, model: keras.Model) -> None:
    for layer in model.layers:
        parts = list(layer._flatten_layers())
        if layer is kept:
            continue
        if any(part is kept for part in parts):
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
