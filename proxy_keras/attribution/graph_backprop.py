"""Backpropagation through a traced graph with a custom gradient rule per operation.

A gradient tape supports no such rules, and the overrides of `tf.gradients` do not apply to
operations with custom gradients, such as swish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

# TensorFlow has no public name for this function.
from tensorflow.python.framework.ops import get_gradient_function

Rule = Callable[..., Sequence[tf.Tensor | None]]
"""(operation, *gradients of its outputs) -> gradients of its inputs."""

# Their outputs do not depend on the values of their inputs.
_SHAPE_OPERATIONS = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})


@tf.autograph.experimental.do_not_convert
def operations_between(source: tf.Tensor, output: tf.Tensor) -> list[tf.Operation]:
    """Return the operations through which `output` depends on the values of `source`.

    Args:
        source: A tensor of the graph being traced.
        output: A tensor computed from it, in the same graph.

    Returns:
        The operations in topological order, the same order for the same code. Empty if `output`
        does not depend on `source`.
    """
    depends: dict[tf.Operation, bool] = {source.op: True}
    order: list[tf.Operation] = []
    stack = [(output.op, False)]
    while stack:
        operation, is_ready = stack.pop()
        if operation in depends:
            continue
        if is_ready:
            depends[operation] = any(depends[tensor.op] for tensor in operation.inputs)
            if depends[operation]:
                order.append(operation)
        elif operation.type in _SHAPE_OPERATIONS:
            depends[operation] = False
        else:
            stack.append((operation, True))
            stack.extend((tensor.op, False) for tensor in reversed(list(operation.inputs)))
    return order


def inputs_on_path(operation: tf.Operation, path: set[tf.Operation]) -> list[int]:
    """Return the indices of an operation's inputs that come from operations of `path`."""
    return [place for place, tensor in enumerate(operation.inputs) if tensor.op in path]


def op_types(operation: tf.Operation) -> set[str]:
    """Return the type of an operation or, for a call of a compiled function, the types inside."""
    if operation.type not in ("PartitionedCall", "StatefulPartitionedCall"):
        return {operation.type}
    library = {
        function.signature.name: function
        for function in operation.graph.as_graph_def().library.function
    }
    kinds: set[str] = set()
    pending, seen = [operation.get_attr("f").name], set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in library[name].node_def:
            if node.op in ("PartitionedCall", "StatefulPartitionedCall"):
                pending.append(node.attr["f"].func.name)
            else:
                kinds.add(node.op)
    return kinds


def op_gradients(operation: tf.Operation, *gradients: tf.Tensor) -> list[Any]:
    """Return the true gradients of an operation's inputs, or None, given those of its outputs."""
    found = get_gradient_function(operation)(operation, *gradients)
    return list(found) if isinstance(found, (list, tuple)) else [found]


# AutoGraph would convert every rule again, which takes longer than the rest of the tracing.
@tf.autograph.experimental.do_not_convert
def backpropagate(
    source: tf.Tensor,
    output: tf.Tensor,
    gradient: tf.Tensor,
    operations: list[tf.Operation],
    rule_of: Callable[[tf.Operation], Rule],
) -> tf.Tensor:
    """Return the gradient at `source`, backpropagated from `output` by the rules.

    Args:
        source: The tensor to end at.
        output: The tensor to start from.
        gradient: Gradient of `output`, of its shape.
        operations: The operations between the two, see `operations_between`.
        rule_of: Returns the rule of an operation.

    Returns:
        A tensor of the shape of `source`; zeros if no gradient reaches it.
    """
    path = {source.op, *operations}
    gradients: dict[object, tf.Tensor] = {output.ref(): gradient}
    for operation in reversed(operations):
        output_gradients = [gradients.pop(tensor.ref(), None) for tensor in operation.outputs]
        if all(value is None for value in output_gradients):
            continue
        filled = [
            tf.zeros_like(tensor) if value is None else value
            for tensor, value in zip(operation.outputs, output_gradients, strict=True)
        ]
        input_gradients = rule_of(operation)(operation, *filled)
        for tensor, value in zip(operation.inputs, input_gradients, strict=True):
            if value is None or tensor.op not in path:
                continue
            # The gradient of a gather operation is `tf.IndexedSlices`.
            value = tf.convert_to_tensor(value)
            before = gradients.get(tensor.ref())
            gradients[tensor.ref()] = value if before is None else before + value
    result = gradients.get(source.ref())
    return tf.zeros_like(source) if result is None else tf.ensure_shape(result, source.shape)
