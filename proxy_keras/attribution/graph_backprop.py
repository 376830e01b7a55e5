"""Walks the operations of a traced network backwards, with a rule of one's own for each kind.

A gradient tape takes no rules, and the overrides of `tf.gradients` do not reach operations whose
gradient is custom, such as that of swish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

# TensorFlow exports no name for the look-up of an operation's gradient function.
from tensorflow.python.framework.ops import get_gradient_function

Rule = Callable[..., Sequence[tf.Tensor | None]]
"""(operation, *gradients of its outputs) -> gradients of its inputs."""

# They say how large a tensor is, which does not depend on its values.
_SHAPE_OPERATIONS = frozenset({"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"})


@tf.autograph.experimental.do_not_convert
def operations_between(source: tf.Tensor, output: tf.Tensor) -> list[tf.Operation]:
    """The operations through which `output` depends on the values of `source`, in order.

    Args:
        source: A tensor of a graph under construction.
        output: One that is computed from it, in the same graph.

    Returns:
        Each operation after those that it needs; the same order for the same code. Empty where
        `output` does not depend on `source`.
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
    """The places of those inputs of an operation that come from operations of `path`."""
    return [place for place, tensor in enumerate(operation.inputs) if tensor.op in path]


def op_types(operation: tf.Operation) -> set[str]:
    """The type of an operation; where it calls a compiled function, the types inside."""
    if operation.type not in ("PartitionedCall", "StatefulPartitionedCall"):
        return {operation.type}
    library = {
        function.signature.name: function
        for function in operation.graph.as_graph_def().library.function
    }
    kinds: set[str] = set()
    waiting, seen = [operation.get_attr("f").name], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in library[name].node_def:
            if node.op in ("PartitionedCall", "StatefulPartitionedCall"):
                waiting.append(node.attr["f"].func.name)
            else:
                kinds.add(node.op)
    return kinds


def op_gradients(operation: tf.Operation, *gradients: tf.Tensor) -> list[Any]:
    """The true gradients of an operation's inputs, or None, given those of its outputs."""
    found = get_gradient_function(operation)(operation, *gradients)
    return list(found) if isinstance(found, (list, tuple)) else [found]


# AutoGraph would rewrite every rule anew, which takes longer than all the rest of the tracing.
@tf.autograph.experimental.do_not_convert
def backpropagate(
    source: tf.Tensor,
    output: tf.Tensor,
    gradient: tf.Tensor,
    operations: list[tf.Operation],
    rule_of: Callable[[tf.Operation], Rule],
) -> tf.Tensor:
    """What arrives at `source` when `gradient` is handed back from `output` by the rules.

    Args:
        source: The tensor to end at.
        output: The tensor to start from.
        gradient: Of the same shape as `output`.
        operations: Those between the two, see `operations_between`.
        rule_of: Names the rule of each operation.

    Returns:
        A tensor of the shape of `source`; zeros where nothing arrives.
    """
    path = {source.op, *operations}
    arrived: dict[object, tf.Tensor] = {output.ref(): gradient}
    for operation in reversed(operations):
        given = [arrived.pop(tensor.ref(), None) for tensor in operation.outputs]
        if all(value is None for value in given):
            continue
        filled = [
            tf.zeros_like(tensor) if value is None else value
            for tensor, value in zip(operation.outputs, given, strict=True)
        ]
        handed = rule_of(operation)(operation, *filled)
        for tensor, value in zip(operation.inputs, handed, strict=True):
            if value is None or tensor.op not in path:
                continue
            # A gradient of a look-up comes as slices.
            value = tf.convert_to_tensor(value)
            before = arrived.get(tensor.ref())
            arrived[tensor.ref()] = value if before is None else before + value
    result = arrived.get(source.ref())
    return tf.zeros_like(source) if result is None else tf.ensure_shape(result, source.shape)
