"""The nodes of a Keras graph: what computes a tensor, and what a cut at it needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
from keras import tree

from proxy_keras.graph.float32_copy import BorrowedLayer, ReplayedOperation

# Operations whose derivative is zero or cut.
_STEPS = frozenset("Ceil Floor FloorDivide Round Sign StopGradient Trunc".split())


def nodes_to(outputs: Any, stop: Iterable[int] = ()) -> list[Any]:
    """Return the Keras nodes that compute `outputs`, in topological order.

    Args:
        outputs: A tensor or structure of tensors.
        stop: `id`s of tensors that are treated as inputs.

    Returns:
        Nodes (`.operation`, `.arguments`, `.outputs`), without input layers.
    """
    given = set(stop)
    order: list[Any] = []
    seen: set[int] = set()
    stack = [(tensor, False) for tensor in reversed(tree.flatten(outputs))]
    while stack:
        tensor, is_ready = stack.pop()
        history = tensor._keras_history
        if id(tensor) in given or history.operation is None:
            continue
        node = history.operation._inbound_nodes[history.node_index]
        if is_ready:
            if id(node) not in seen and not node.is_input:
                order.append(node)
            seen.add(id(node))
        elif id(node) not in seen:
            stack.append((tensor, True))
            stack.extend((parent, False) for parent in reversed(node.input_tensors))
    return order


def frontier(target: keras.KerasTensor, output: keras.KerasTensor) -> list[keras.KerasTensor]:
    """Return the tensors that computing `output` from `target` needs in addition.

    Empty if every path passes through `target`; a residual branch, or a class token that is
    concatenated later, adds one.

    Args:
        target: A tensor of a functional graph.
        output: A tensor computed from it.

    Returns:
        Tensors that do not depend on `target`, in computing order.

    Raises:
        ValueError: `output` does not depend on `target`.
    """
    nodes = downstream(target, output)
    made = {id(tensor) for node in nodes for tensor in node.outputs}
    needed = {id(tensor): tensor for node in nodes for tensor in node.input_tensors}
    return [t for key, t in needed.items() if key not in made and t is not target]


def downstream(target: keras.KerasTensor, output: keras.KerasTensor) -> list[Any]:
    """Return the nodes between `target` and `output`, in computing order.

    Raises:
        ValueError: `output` does not depend on `target`.
    """
    reached = {id(target)}
    nodes = []
    for node in nodes_to(output, stop=reached):
        if any(id(tensor) in reached for tensor in node.input_tensors):
            nodes.append(node)
            reached.update(id(tensor) for tensor in node.outputs)
    if target is output or id(output) not in reached:
        raise ValueError(
            f"The logits do not depend on the output {list(target.shape)} of layer "
            f"'{target._keras_history.operation.name}'. Pass a layer that comes before them."
        )
    return nodes


def has_gradient(source: keras.KerasTensor, output: keras.KerasTensor) -> bool:
    """Return whether gradients of `output` can reach `source`: not through integers or steps."""
    reached = {id(source)}
    for node in downstream(source, output):
        if any(id(tensor) in reached for tensor in node.input_tensors):
            name = type(original_of(node.operation)).__name__
            reached.update(
                id(tensor)
                for tensor in node.outputs
                if name not in _STEPS and keras.backend.is_float_dtype(tensor.dtype)
            )
    return id(output) in reached


def replay(nodes: Iterable[Any], values: dict[int, Any]) -> None:
    """Call the operations of `nodes` again; tensors not in `values` are used as they are."""
    for node in nodes:
        for tensor in node.input_tensors:
            values.setdefault(id(tensor), tensor)
        args, kwargs = node.arguments.fill_in(values)
        results = tree.flatten(node.operation(*args, **kwargs))
        for old, new in zip(node.outputs, results, strict=True):
            # A given tensor keeps its value if its sibling outputs are computed again.
            values.setdefault(id(old), new)


def operation_of(tensor: keras.KerasTensor) -> keras.Operation:
    """Return the layer or `keras.ops` operation that computes `tensor`."""
    return original_of(tensor._keras_history.operation)


def original_of(operation: keras.Operation) -> keras.Operation:
    """Return the operation that a `BorrowedLayer` or `ReplayedOperation` calls, else itself."""
    is_wrapper = isinstance(operation, (BorrowedLayer, ReplayedOperation))
    return operation.original if is_wrapper else operation


def inputs_of(tensor: keras.KerasTensor) -> list[keras.KerasTensor]:
    """Return the tensors from which `tensor` is computed directly; none for an input."""
    history = tensor._keras_history
    return list(history.operation._inbound_nodes[history.node_index].input_tensors)
