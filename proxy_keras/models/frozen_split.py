"""A frozen classifier in two parts, cut at the input of the first layer that is trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from proxy_keras.graph.nodes import replay
from proxy_keras.models.cut import Cut, cut_after_maps, cut_before, last_cut, nodes_between

Part = Callable[[Any], Any]
"""Maps a batch of tensors to a batch of tensors with the model's own layers."""


@dataclass(frozen=True)
class FrozenSplit:
    """The two parts of a classifier. Both call its own layers, so its weights are shared.

    Attributes:
        body: Images [B, H, W, 3] -> features [B, ...], the input of the first trained layer.
        head: Features [B, ...] -> outputs [B, K].
        model: The classifier.
        frozen: The layers and operations of `body`.
    """

    body: Part
    head: Part
    model: keras.Model
    frozen: tuple[keras.Layer, ...]

    def body_sha256(self) -> str:
        """Return a hash of what the features of an image depend on: the layers, their weights.

        It does not depend on names, which Keras numbers anew in each process.
        """
        config = json.dumps(self.model.get_config(), sort_keys=True, default=str)
        for number, layer in enumerate(self.model._flatten_layers()):
            config = config.replace(json.dumps(layer.name), json.dumps(number))
        found = hashlib.sha256(f"{config} {len(self.frozen)}".encode())
        for layer in self.frozen:
            for variable in getattr(layer, "variables", ()):  # An operation has none.
                found.update(keras.ops.convert_to_numpy(variable).tobytes())
        return found.hexdigest()


def split_frozen(model: keras.Model, before: str | None = None) -> FrozenSplit:
    """Split a classifier at the input of a layer, also in a nested model.

    Args:
        model: A functional or sequential classifier. Not modified.
        before: See `freeze_backbone`.

    Raises:
        ValueError: There is no such layer; it has another input than one tensor; the output also
            depends on an earlier tensor; or a layer is used in both parts.
    """
    if before is not None:
        return _split(cut_before(model, before))
    cut = last_cut(model)
    cut.check()
    return _split(cut)


def split_after_maps(model: keras.Model) -> FrozenSplit:
    """Split a classifier after its last feature maps [B, h, w, C], also in a nested model.

    Raises:
        ValueError: It has none through which everything passes.
    """
    return _split(cut_after_maps(model))


def _split(cut: Cut) -> FrozenSplit:
    return FrozenSplit(*_parts(cut), cut.model, tuple(cut.layers_before()))


def _parts(cut: Cut) -> tuple[Part, Part]:
    below = _between(cut.model.inputs[0], cut.node.input_tensors[0])
    if cut.inner is None:
        return below, _between(cut.node.input_tensors[0], cut.model.outputs[0])
    (body, head), above = _parts(cut.inner), _between(cut.node.outputs[0], cut.model.outputs[0])
    return lambda images: body(below(images)), lambda features: above(head(features))


def _between(start: keras.KerasTensor, end: keras.KerasTensor) -> Part:
    """Return what computes `end` from `start`."""
    nodes = nodes_between(start, end)

    def compute(tensor: Any) -> Any:
        values = {id(start): tensor}
        replay(nodes, values)
        return values[id(end)]

    return compute
