"""Reverse-mode differentiation of the layers after the target layer, in forward operations.

The gradients of TensorFlow's tape do not convert to ONNX.

Source: Griewank and Walther, Evaluating Derivatives (2nd ed. 2008), chapter 3.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras
import tensorflow as tf
from keras import tree

from export.vjp.registry import known_kinds, rule_of
from export.vjp.rule import Pullback, Rule
from proxy_keras.graph import FlatClone, frontier, nodes_to, original_of

Purpose = Literal["heatmap", "cues"]
"""What a head's gradient is for."""

_NEEDS: dict[Purpose, tuple[str, str]] = {
    "heatmap": (
        "The heatmap needs",
        "Choose a --target-layer after it, or --explain none.",
    ),
    "cues": (
        "Cues need",
        "Find the cues in a layer after it (python -m proxy_keras.cues MODEL --layer NAME), or "
        "leave them out: --no-cues.",
    ),
}
"""The subject of the refusal, and the ways out, by purpose."""


@dataclass(frozen=True)
class _Step:
    """One call of a layer, with symbolic tensors as its arguments."""

    operation: keras.Operation
    rule: Rule
    arguments: tuple[Any, ...]
    output: keras.KerasTensor


class Head:
    """The map from the target layer's activations to the logits, with vector-Jacobian products.

    Each layer is computed by a rule, in operations that tf2onnx converts at opset 17, with a
    dynamic batch size. The weights are read when it is called.

    Args:
        flat: The classifier.
        target: The target layer's output [B, h, w, D], a tensor of `flat`.
        purpose: What the gradient is for; named in messages.

    Raises:
        ValueError: A layer between target and logits has no rule, or is called in a way that its
            rule does not support; or the logits do not depend on `target`.
    """

    def __init__(
        self, flat: FlatClone, target: keras.KerasTensor, purpose: Purpose = "heatmap"
    ) -> None:
        self._purpose = purpose
        self._target_name = flat.name_of(target)
        self._output = flat.output
        self._cut = [target, *frontier(target, flat.output)]
        given = [id(tensor) for tensor in self._cut]
        self._steps = [self._step(node) for node in nodes_to(flat.output, stop=given)]
        self._check_by_tracing()

    def __call__(
        self, activations: tf.Tensor, rest: list[tf.Tensor]
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        """Compute the logits, and their pullback to the activations.

        Args:
            activations: [B, h, w, D] float32.
            rest: The other tensors that the logits depend on, from `Network.cut`.

        Returns:
            Logits [B, K], and a function that maps a score's gradient with respect to them,
            [B, K], to its gradient with respect to `activations`, [B, h, w, D].
        """
        values = {id(t): value for t, value in zip(self._cut, [activations, *rest], strict=True)}
        pullbacks: list[Pullback] = []
        for step in self._steps:
            output, pullback = self._applied(step, _filled(step.arguments, values))
            values[id(step.output)] = output
            pullbacks.append(pullback)

        def pullback_of_head(gradient: tf.Tensor) -> tf.Tensor:
            return self._walk_back(pullbacks, gradient)

        return values[id(self._output)], pullback_of_head

    def _walk_back(self, pullbacks: list[Pullback], gradient: tf.Tensor) -> tf.Tensor:
        target, *frontier_tensors = self._cut
        constants = {id(tensor) for tensor in frontier_tensors}
        gradients = {id(self._output): gradient}
        for step, pullback in zip(reversed(self._steps), reversed(pullbacks), strict=True):
            # All later steps have added their part by now.
            parts = pullback(gradients.pop(id(step.output)))
            for argument, part in zip(tree.flatten(step.arguments), parts, strict=False):
                if isinstance(argument, keras.KerasTensor) and id(argument) not in constants:
                    known = gradients.get(id(argument))
                    gradients[id(argument)] = part if known is None else known + part
        return gradients[id(target)]

    def _applied(self, step: _Step, arguments: tuple[Any, ...]) -> tuple[tf.Tensor, Pullback]:
        try:
            return step.rule(original_of(step.operation), *arguments)
        except NotImplementedError as error:
            raise self._refusal(step.operation, str(error)) from error

    def _check_by_tracing(self) -> None:
        """Trace once, so that rules can refuse unsupported shapes and settings."""

        def trace(activations: tf.Tensor, *rest: tf.Tensor) -> tf.Tensor:
            logits, pullback = self(activations, list(rest))
            return pullback(tf.ones_like(logits))

        specs = [tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype) for tensor in self._cut]
        tf.function(trace, autograph=False).get_concrete_function(*specs)

    def _step(self, node: Any) -> _Step:
        operation = node.operation
        rule = rule_of(operation)
        if rule is None:
            raise self._refusal(operation, _why_unknown(operation))
        if getattr(original_of(operation), "data_format", None) == "channels_first":
            raise self._refusal(operation, "its data_format is channels_first")
        for tensor in [*node.input_tensors, *node.outputs]:
            if None in tensor.shape[1:]:
                raise self._refusal(
                    operation,
                    f"its input or output {list(tensor.shape)} has no fixed size; build the model "
                    "for one image size",
                )
        if len(node.outputs) != 1:
            raise self._refusal(operation, f"it has {len(node.outputs)} outputs")
        return _Step(operation, rule, self._arguments(node, rule), node.outputs[0])

    def _arguments(self, node: Any, rule: Rule) -> tuple[Any, ...]:
        """Return a call's arguments for the rule, without those that have no effect."""
        operation = original_of(node.operation)
        call = inspect.signature(operation.call).bind(*node.arguments.args, **node.arguments.kwargs)
        effective = {
            name: value
            for name, value in call.arguments.items()
            if value is not None and (name != "training" or value)
        }
        call.arguments = effective
        reason = f"it is called with the arguments {', '.join(effective)}"
        if call.kwargs:
            raise self._refusal(node.operation, reason)
        try:
            inspect.signature(rule).bind(operation, *call.args)
        except TypeError as error:
            raise self._refusal(node.operation, reason) from error
        return call.args

    def _refusal(self, operation: keras.Operation, reason: str) -> ValueError:
        original = original_of(operation)
        needs, ways_out = _NEEDS[self._purpose]
        return ValueError(
            f"{needs} the gradient through '{original.name}' ({type(original).__name__}), which is "
            f"between the target layer '{self._target_name}' and the logits, but {reason}. "
            f"{ways_out}"
        )


def _why_unknown(operation: keras.Operation) -> str:
    kinds, operations = known_kinds()
    if type(original_of(operation)).__name__ in kinds:
        return "it is or contains custom code"
    return (
        f"its type has no rule. Layers with a rule: {', '.join(kinds)}. Operations with a rule: "
        f"{', '.join(operations)}"
    )


def _filled(arguments: tuple[Any, ...], values: dict[int, tf.Tensor]) -> tuple[Any, ...]:
    def value_of(argument: Any) -> Any:
        is_symbolic = isinstance(argument, keras.KerasTensor)
        return values[id(argument)] if is_symbolic else argument

    filled: tuple[Any, ...] = tree.map_structure(value_of, arguments)
    return filled
