"""A frozen classifier in two parts, cut at the input of its last layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from proxy_keras.graph.nodes import downstream, frontier, nodes_to, replay
from proxy_keras.models.freezing import last_layer, last_node

Part = Callable[[Any], Any]
"""Maps a batch of tensors to a batch of tensors with the model's own layers."""


@dataclass(frozen=True)
class FrozenSplit:
    """The two parts of a classifier. Both call its own layers, so its weights are shared.

    Attributes:
        body: Images [B, H, W, 3] -> features [B, ...], the input of the last layer with weights.
        head: Features [B, ...] -> outputs [B, K].
    """

    body: Part
    head: Part


def split_at_last_layer(model: keras.Model) -> FrozenSplit:
    """Split a classifier at the input of its last layer with weights, also in a nested model.

    Args:
        model: A functional or sequential classifier. Not modified.

    Raises:
        ValueError: The layer has another input than one tensor, the output also depends on an
            earlier tensor, or the layer is also used earlier.
    """
    node = last_node(model)
    layer = last_layer(model)
    if len(node.input_tensors) != 1:
        raise ValueError(f"Layer '{layer.name}' has {len(node.input_tensors)} inputs, not one.")
    cut, output = node.input_tensors[0], model.outputs[0]
    if frontier(cut, output):
        raise ValueError(
            f"The output depends on more than the input of layer '{layer.name}', the last one."
        )
    if any(_contains(earlier.operation, layer) for earlier in nodes_to(cut)):
        raise ValueError(f"Layer '{layer.name}', the last one, is also used earlier.")
    below = _between(model.inputs[0], cut)
    if not isinstance(node.operation, keras.Model):
        return FrozenSplit(below, _between(cut, output))
    inner, above = split_at_last_layer(node.operation), _between(node.outputs[0], output)
    return FrozenSplit(
        lambda images: inner.body(below(images)), lambda features: above(inner.head(features))
    )


def _contains(operation: Any, layer: keras.Layer) -> bool:
    parts = operation._flatten_layers() if isinstance(operation, keras.Layer) else ()
    return any(part is layer for part in parts)


def _between(start: keras.KerasTensor, end: keras.KerasTensor) -> Part:
    """Return what computes `end` from `start`."""
    nodes = [] if start is end else downstream(start, end)

    def compute(tensor: Any) -> Any:
        values = {id(start): tensor}
        replay(nodes, values)
        return values[id(end)]

    return compute
