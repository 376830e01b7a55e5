"""Where a classifier is cut into a frozen part and one to train."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras

from proxy_keras.graph import has_graph
from proxy_keras.graph.nodes import downstream, frontier, nodes_to

_NORMALISATION = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
)


@dataclass(frozen=True)
class Cut:
    """A place in a classifier, before a layer.

    Attributes:
        model: The classifier, or a model that is nested in it.
        node: The node of the layer in the model's own graph, or of the nested model that holds it.
        inner: The place in that nested model; None: `node` is the layer itself.
    """

    model: keras.Model
    node: Any
    inner: Cut | None

    @property
    def layer(self) -> keras.Layer:
        """The layer; it may be an operation."""
        return self.node.operation if self.inner is None else self.inner.layer

    @property
    def tensor(self) -> keras.KerasTensor:
        """The only tensor from which the output is computed, once the place is checked."""
        return self.node.input_tensors[0] if self.inner is None else self.inner.tensor

    @property
    def after(self) -> list[Any]:
        """The nodes of the model's own graph that follow `node`, or start with it if it is cut."""
        start = self.node.input_tensors[0] if self.inner is None else self.node.outputs[0]
        return nodes_between(start, self.model.outputs[0])

    def layers_before(self) -> list[keras.Layer]:
        """Return the layers and operations before the place, once it is checked."""
        before = [node.operation for node in nodes_to(self.node.input_tensors[0])]
        return before + ([] if self.inner is None else self.inner.layers_before())

    def layers_after(self) -> list[keras.Layer]:
        """Return the layers and operations after the place, once it is checked."""
        after = [node.operation for node in self.after]
        return ([] if self.inner is None else self.inner.layers_after()) + after

    def check(self) -> None:
        """Check that the network can be run in two parts, one before the place and one after.

        Raises:
            ValueError: It cannot.
        """
        name = f"'{self.layer.name}'"
        if len(self.node.input_tensors) != 1:
            raise ValueError(f"Layer {name} has {len(self.node.input_tensors)} inputs, not one.")
        start, output = self.node.input_tensors[0], self.model.outputs[0]
        cuts = [start] if self.inner is None else [start, self.node.outputs[0]]
        if any(cut is not output and frontier(cut, output) for cut in cuts):
            raise ValueError(f"The output depends on more than the input of layer {name}.")
        if self.inner is not None:
            self.inner.check()
        before = {id(part) for layer in self.layers_before() for part in _parts(layer)}
        for part in (part for layer in self.layers_after() for part in _parts(layer)):
            if part.variables and id(part) in before:
                raise ValueError(f"Layer '{part.name}' is used both before and after {name}.")


def last_cut(model: keras.Model) -> Cut:
    """Return the place before the last layer with weights, also in a nested model; unchecked.

    Raises:
        ValueError: The model has no layer with weights, or no graph of layers.
    """
    if has_graph(model):
        for node in reversed(nodes_to(model.outputs)):
            if getattr(node.operation, "weights", None):
                is_nested = isinstance(node.operation, keras.Model)
                return Cut(model, node, last_cut(node.operation) if is_nested else None)
    raise ValueError(
        f"The last layer of model '{model.name}' is unknown: it has no weights, or it is inside a "
        f"subclassed model. Build it as keras.Model(inputs, outputs). Received: "
        f"{type(model).__name__}"
    )


def cut_after_maps(model: keras.Model) -> Cut:
    """Return the last place at which feature maps [B, h, w, C] hold all that the output needs.

    Raises:
        ValueError: There is none, or the model has no graph of layers.
    """
    last_cut(model)
    for cut in _cuts_backwards(model):
        shape = cut.tensor.shape
        if len(shape) != 4 or shape[1:3] == (1, 1):
            continue
        with contextlib.suppress(ValueError):
            cut.check()
            return cut
    raise ValueError(
        f"Model '{model.name}' has no feature maps [B, h, w, C] through which everything passes. "
        "Use a network that pools its last feature maps."
    )


def cut_before(model: keras.Model, name: str) -> Cut:
    """Return the place before a layer or stage, also in a nested model.

    Args:
        model: A functional or sequential classifier.
        name: A layer, or what the names of a stage's layers begin with: `conv5` is the stage of
            `conv5_block1_1_conv`, `block6` that of `block6a_expand_conv`.
    Raises:
        ValueError: There is no such layer, nothing with weights comes before it, or some path to
            the output bypasses it. The message lists the names that are possible.
    """
    # Raises what is wrong with a model without a graph.
    last_cut(model)
    reasons = [f"The model has no layer or stage '{name}'."]
    for matches in (lambda text: text == name, _stage(name)):
        if (cut := _first(model, matches)) is None:
            continue
        try:
            _check_freezable(cut)
        except ValueError as error:
            reasons.append(str(error))
        else:
            return cut
    choices = ", ".join(_choices(model))
    raise ValueError(reasons[-1] + (f" Choose one of: {choices}." if choices else ""))


def _cuts_backwards(model: keras.Model) -> Iterator[Cut]:
    """Yield the places before all layers with one input, last first; unchecked."""
    for node in reversed(nodes_to(model.outputs)):
        if has_graph(node.operation):
            yield from (Cut(model, node, inner) for inner in _cuts_backwards(node.operation))
        if len(node.input_tensors) == 1:
            yield Cut(model, node, None)


def nodes_between(start: keras.KerasTensor, end: keras.KerasTensor) -> list[Any]:
    """Return the nodes that compute `end` from `start`, in computing order."""
    return [] if start is end else downstream(start, end)


def _stage(name: str) -> Callable[[str], Any]:
    """Return what matches the names of the layers of a stage."""
    return re.compile(rf"{re.escape(name)}([a-z]?_|$)").match


def _first(model: keras.Model, matches: Callable[[str], Any]) -> Cut | None:
    """Return the place before the first layer whose name matches; unchecked."""
    for node in nodes_to(model.outputs):
        if matches(node.operation.name):
            return Cut(model, node, None)
        if has_graph(node.operation) and (inner := _first(node.operation, matches)):
            return Cut(model, node, inner)
    return None


def _check_freezable(cut: Cut) -> None:
    cut.check()
    if not any(part.weights for layer in cut.layers_before() for part in _parts(layer)):
        raise ValueError(f"Nothing with weights comes before layer '{cut.layer.name}'.")


def _choices(model: keras.Model) -> list[str]:
    """Return the shortest name for each possible place before a layer with weights, in order.

    Places before normalisation are left out: it belongs to the layer before it.
    """
    tried: set[str] = set()
    found: dict[int, str] = {}
    for layer in _layers_in_order(model):
        for name in _names(layer.name):
            cut = None if name in tried else _first(model, _stage(name))
            tried.add(name)
            if cut is None:
                continue
            try:
                _check_freezable(cut)
            except ValueError:
                continue
            found.setdefault(id(cut.tensor), name)
    return list(found.values())


def _layers_in_order(model: keras.Model) -> Iterator[keras.Layer]:
    for node in nodes_to(model.outputs):
        if has_graph(node.operation):
            yield from _layers_in_order(node.operation)
        elif getattr(node.operation, "weights", None):
            if not isinstance(node.operation, _NORMALISATION):
                yield node.operation


def _names(layer: str) -> list[str]:
    """Return the names of stages that end with a number, shortest first; else the layer's."""
    ends = [match.end() for match in re.finditer(r"\d(?=[a-z]?_|$)", layer)]
    return [layer[:end] for end in ends] or [layer]


def _parts(operation: Any) -> list[keras.Layer]:
    return operation._flatten_layers() if isinstance(operation, keras.Layer) else []
