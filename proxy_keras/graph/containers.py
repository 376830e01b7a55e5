"""Layers that contain a graph of layers, and access to that graph."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras import tree

# Keras exports no name for this class; `keras.Model(inputs, outputs)` returns one.
from keras.src.models.functional import Functional

from proxy_keras.graph.nodes import nodes_to

_FLOAT_READERS = (
    keras.layers.Rescaling,
    keras.layers.Normalization,
    keras.layers.Resizing,
)
"""Layers that convert integers to float, as networks for integer images begin."""

_FLOAT_OPERATIONS = ("Cast", "Divide", "TrueDivide")

# What a user's `call` can raise when it gets a symbolic tensor.
_CALL_ERRORS = (
    TypeError,
    ValueError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
    LookupError,
)


def has_graph(layer: Any) -> bool:
    """Return whether the layer is a functional model, or a built sequential one."""
    if isinstance(layer, keras.Sequential):
        return type(layer).call is keras.Sequential.call and hasattr(layer, "inputs")
    # A class that overrides `call` may not do what its recorded graph says.
    return isinstance(layer, Functional) and type(layer).call is Functional.call


def is_container(operation: keras.Operation) -> bool:
    return isinstance(operation, keras.Model) or _is_block_stack(operation)


def _is_block_stack(operation: keras.Operation) -> bool:
    """Return whether this is a layer that contains transformer blocks (and is not a block)."""
    if not isinstance(operation, keras.layers.Layer):
        return False
    return any(
        not is_attention(child) and _contains_attention(child)
        for child in operation._flatten_layers(recursive=False, include_self=False)
    )


def is_attention(operation: keras.Operation) -> bool:
    """Return whether the class name of the layer or operation contains "attention"."""
    return "attention" in type(operation).__name__.lower()


def parts_of_block(operation: keras.Operation) -> list[keras.layers.Layer]:
    """Return the layers to inline so that a transformer block is split into Keras layers.

    These are the block and the composite layers in it, such as its MLP, except those that compute
    the attention. Empty if the operation is not a block.
    """
    is_layer = isinstance(operation, keras.layers.Layer) and not is_container(operation)
    if not is_layer or not _contains_attention(operation):
        return []
    return [
        part
        for part in operation._flatten_layers()
        if not type(part).__module__.startswith("keras.")
        and _descendants(part)
        and (_contains_attention(part) or not is_attention(part))
    ]


def _contains_attention(layer: keras.layers.Layer) -> bool:
    return any(is_attention(inner) for inner in _descendants(layer))


def _descendants(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    return list(layer._flatten_layers(include_self=False))


def image_spec(model: keras.Model) -> tuple[int | None, ...]:
    """Return the shape [B, ...] that the model was built for."""
    if has_graph(model):
        return tuple(model.inputs[0].shape)
    shape = (model.get_build_config() or {}).get("input_shape")
    if not isinstance(shape, (list, tuple)) or not all(
        size is None or isinstance(size, int) for size in shape
    ):
        raise ValueError(
            f"Model '{model.name}' ({type(model).__name__}) does not have one known input shape. "
            "Call it on one batch of images before explaining it."
        )
    return tuple(shape)


def match_inputs(container: Any, args: Any, kwargs: Any) -> dict[int, Any]:
    """Map the id of each input tensor of a functional model to the clone's tensor for it.

    An integer input stays float if all layers after it convert it to float themselves, so that
    the image has gradients and perturbed images are not truncated.
    """
    rest = {k: v for k, v in kwargs.items() if k not in ("inputs", "training") and v is not None}
    if len(args) > 1 or rest:
        raise ValueError(
            f"Model '{container.name}' is called with {list(rest) or 'several arguments'} in "
            "addition to its inputs, which cannot be inlined. Call it with its inputs only."
        )
    given = args[0] if args else kwargs["inputs"]
    if isinstance(given, dict):
        given = [given[tensor.name] for tensor in container.inputs]
    known = {}
    for tensor, value in zip(container.inputs, tree.flatten(given), strict=True):
        stays = keras.backend.is_float_dtype(tensor.dtype) or _is_read_as_float(container, tensor)
        known[id(tensor)] = value if stays else keras.ops.cast(value, tensor.dtype)
    return known


def _is_read_as_float(container: Any, tensor: keras.KerasTensor) -> bool:
    """Return whether all operations on an integer input convert it to float."""
    readers = [
        node
        for node in nodes_to(container.outputs, stop={id(one) for one in container.inputs})
        if any(one is tensor for one in node.input_tensors)
    ]
    return bool(readers) and all(
        (has_graph(node.operation) and len(node.operation.inputs) == 1)
        or isinstance(node.operation, _FLOAT_READERS)
        or (
            type(node.operation).__name__ in _FLOAT_OPERATIONS
            and keras.backend.is_float_dtype(node.outputs[0].dtype)
        )
        for node in readers
    )


@contextmanager
def traced(container: Any, args: Any, kwargs: Any) -> Iterator[tuple[dict[int, Any], Any]]:
    """Record the graph of `container.call` on its layers; the new nodes are removed at the end."""
    layers = list(container._flatten_layers())
    marks = [(layer, len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in layers]
    known: dict[int, Any] = {}
    placeholders = []

    def placeholder(value: Any) -> Any:
        if not isinstance(value, keras.KerasTensor):
            return value
        tensor = keras.KerasTensor(value.shape, value.dtype)
        placeholders.append(tensor)
        known[id(tensor)] = value
        return tensor

    args, kwargs = tree.map_structure(placeholder, (args, kwargs))
    if "training" in inspect.signature(container.call).parameters:
        kwargs = {**kwargs, "training": False}
    try:
        try:
            outputs = container.call(*args, **kwargs)
        except _CALL_ERRORS as error:
            raise ValueError(
                f"`{type(container).__name__}.call` cannot be traced with symbolic tensors: "
                f"{error} Use keras.layers and keras.ops in it, with -1 for the batch size, or "
                "build the model with the functional API."
            ) from error
        yield known, outputs
    finally:
        for layer, inbound, outbound in marks:
            del layer._inbound_nodes[inbound:]
            del layer._outbound_nodes[outbound:]


def check_all_weights_traced(container: Any, nodes: list[Any]) -> None:
    """Raise ValueError if the trace contains a weight as a constant."""
    reached: set[int] = set()
    has_constants = False
    for node in nodes:
        if isinstance(node.operation, keras.layers.Layer):
            reached.update(id(weight) for weight in node.operation.weights)
        for value in tree.flatten((node.arguments.args, node.arguments.kwargs)):
            if isinstance(value, keras.Variable):
                reached.add(id(value))
            has_constants |= tf.is_tensor(value)
    missed = [weight.path for weight in container.weights if id(weight) not in reached]
    if missed and has_constants:
        raise ValueError(
            f"`{type(container).__name__}.call` uses weights {missed} in a computation that does"
            " not depend on its input, so a copy would not see them change in training. Move that"
            " computation into a keras.layers.Layer that takes the input."
        )
