"""A flat float32 copy of any Keras classifier, which can be cut at any tensor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from proxy_keras.graph.containers import (
    check_all_weights_traced,
    has_graph,
    image_spec,
    is_container,
    match_inputs,
    parts_of_block,
    traced,
)
from proxy_keras.graph.float32_copy import copy_operation, quiet_construction, weight_pairs
from proxy_keras.graph.nodes import downstream, frontier, nodes_to, replay
from proxy_keras.graph.output_activation import SIGMOID, logits_of
from proxy_keras.io.keras_settings import require_channels_last


class FlatClone:
    """A flat functional float32 copy of a classifier that returns logits.

    Nested models, subclassed models and stacks of transformer blocks are inlined, so that every
    tensor between image and logits can be named, read and cut at. A softmax or sigmoid at the end,
    or a mixture of several, is undone; where the graph does not tell what the output is, it is
    measured on noise. The model itself is not changed.

    Args:
        model: Any built Keras 3 model with one input [B, ...] and one output [B, K], K >= 2.
        inline_blocks: Also inline the transformer blocks themselves. A block's name refers to its
            output either way.

    Attributes:
        model: The flat `keras.Model`, float32 in, logits [B, K] float32 out.
        names: Names of its tensors in computing order, nested ones as paths, "backbone/conv5".
        activation: The classifier's own output activation: "softmax", "sigmoid", "log_softmax",
            "log_sigmoid", or None if it returns logits.
        is_measured: Whether that was measured, because the graph does not tell it.

    Raises:
        ValueError: The model has several inputs or outputs, fewer than two classes, is not built,
            or contains code that cannot be copied or traced; or Keras' `image_data_format` is not
            "channels_last".
    """

    def __init__(self, model: keras.Model, *, inline_blocks: bool = False) -> None:
        require_channels_last()
        self._inline_blocks = inline_blocks
        self._block_parts: set[int] = set()
        self._pairs: list[tuple[keras.Variable, keras.Variable]] = []
        self._paired: set[int] = set()
        self._copies: dict[int, tuple[keras.Operation, keras.Operation]] = {}
        self._variables: dict[int, keras.Variable] = {}
        self._operation_names: set[str] = set()
        self._tensors: dict[str, keras.KerasTensor] = {}
        self._check_single(model)
        with quiet_construction():
            image = image_spec(model)
            inputs = keras.Input(batch_shape=(None, *image[1:]), dtype="float32", name="image")
            self._operation_names.add("image")
            output = self._call_container(model, (inputs,), {}, path="")
            outputs = tree.flatten(output)
            if len(outputs) != 1:
                raise ValueError(
                    f"The model must have one output [B, K]. Received: model '{model.name}' with "
                    f"{len(outputs)} outputs. Pass keras.Model(model.inputs, model.outputs[0])."
                )
            self._set_output(inputs, outputs[0])
            self.refresh()
            logits, self.activation, self.is_measured = logits_of(self.model)
            self._set_output(inputs, logits)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tensors, in computing order."""
        return tuple(self._tensors)

    @property
    def output(self) -> keras.KerasTensor:
        """The logits, [B, K]."""
        return self.model.outputs[0]

    def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        """Return the classifier's probabilities [B, K] for logits [B, K].

        They sum to 1, unless the classifier ends with a sigmoid.
        """
        return tf.sigmoid(logits) if self.is_multi_label else tf.nn.softmax(logits)

    @property
    def is_multi_label(self) -> bool:
        """Whether each class has a probability of its own, from a sigmoid."""
        return self.activation in (SIGMOID, "log_sigmoid")

    @property
    def output_description(self) -> str:
        """What the classifier's own output is, and whether that was measured."""
        name = f"{self.activation} of logits" if self.activation else "logits"
        return f"{name} (measured by range and sum)" if self.is_measured else name

    def refresh(self) -> None:
        """Copy the weights again from the model, for example after further training."""
        for source, copy in self._pairs:
            copy.assign(source)
        for _, layer in self._copies.values():
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()

    def tensor(self, name: str) -> keras.KerasTensor:
        """Return the output of the layer with this name or path; for a shared layer, the last.

        Args:
            name: "backbone/conv5", or "conv5" if no other layer has that name.

        Raises:
            ValueError: No layer, or more than one, has that name.
        """
        if name in self._tensors:
            return self._tensors[name]
        paths = [path for path in self._tensors if path.rsplit("/", 1)[-1] == name]
        if len(paths) == 1:
            return self._tensors[paths[0]]
        if paths:
            raise ValueError(f"Several layers are named '{name}'. Pass one of: {paths}")
        raise ValueError(f"No layer is named '{name}'. The model's layers: {list(self._tensors)}")

    def name_of(self, tensor: keras.KerasTensor) -> str:
        """Return the shortest name that `tensor()` accepts for this tensor."""
        path = next(name for name, known in self._tensors.items() if known is tensor)
        plain = path.rsplit("/", 1)[-1]
        is_unique = [name.rsplit("/", 1)[-1] for name in self._tensors].count(plain) == 1
        return plain if is_unique else path

    def source_of(self, operation: keras.Operation) -> keras.Operation:
        """Return the layer or operation of the user's model that `operation` was copied from.

        Raises:
            ValueError: `operation` is not part of this clone.
        """
        for original, copy in self._copies.values():
            if copy is operation:
                return original
        raise ValueError(f"'{operation.name}' is not a copy of a layer of the model.")

    def split(self, target: keras.KerasTensor) -> tuple[keras.Model, keras.Model]:
        """Split the model in two: image -> [target, *frontier] and [target, *frontier] -> logits.

        Args:
            target: A tensor of this clone.

        Returns:
            `features` and `head`, which share the clone's layers.
        """
        cut = [target, *frontier(target, self.output)]
        with quiet_construction():
            features = keras.Model(self.model.inputs[0], cut, name="features")
            entries = [
                keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=f"cut_{i}")
                for i, tensor in enumerate(cut)
            ]
            values = {id(tensor): entry for tensor, entry in zip(cut, entries, strict=True)}
            replay(nodes_to(self.output, stop=values), values)
            return features, keras.Model(entries, values[id(self.output)], name="head")

    def rewire(
        self,
        old: keras.KerasTensor,
        new: keras.KerasTensor,
        named: dict[str, keras.KerasTensor],
    ) -> None:
        """Replace `old` with `new`, a tensor computed from it, in everything that used `old`.

        Args:
            old: A tensor of this clone.
            new: The replacement, of the same shape.
            named: Tensors between `old` and `new`, by the name under which `tensor()` finds them.
        """
        values = {id(old): new}
        with quiet_construction():
            replay(downstream(old, self.output), values)
            self._set_output(self.model.inputs[0], values[id(self.output)])
        self._tensors = {
            path: tensor if tensor is old else values.get(id(tensor), tensor)
            for path, tensor in self._tensors.items()
        }
        self._tensors.update(named)

    def _set_output(self, inputs: keras.KerasTensor, output: keras.KerasTensor) -> None:
        if len(output.shape) != 2 or output.shape[1] is None or output.shape[1] < 2:
            raise ValueError(
                "Attribution needs one logit per class, output [B, K] with K >= 2. Received: "
                f"output {list(output.shape)}. Build binary classifiers with two logits."
            )
        self.model = keras.Model(inputs, output, name="flat_clone")

    @staticmethod
    def _check_single(model: keras.Model) -> None:
        if not isinstance(model, keras.Model):
            raise ValueError(f"`model` must be a keras.Model. Received: {type(model).__name__}")
        if not model.built or (isinstance(model, keras.Sequential) and not has_graph(model)):
            raise ValueError(
                f"Model '{model.name}' is not built yet. Call it on one batch first, or begin it "
                "with keras.Input(shape)."
            )
        if has_graph(model) and len(model.inputs) != 1:
            raise ValueError(
                f"The model must have one input, the images. Received: model '{model.name}' with"
                f" inputs {[tensor.name for tensor in model.inputs]}."
            )

    def _call(self, operation: keras.Operation, args: Any, kwargs: Any, path: str) -> Any:
        """Call a copy of `operation` on tensors of the clone; containers are inlined."""
        own = path + operation.name
        if self._inline_blocks:
            self._block_parts.update(id(part) for part in parts_of_block(operation))
        is_block_part = id(operation) in self._block_parts
        if is_block_part or is_container(operation):
            results = self._call_container(operation, args, kwargs, path=own + "/")
        else:
            copy = self._copy(operation, own)
            results = copy(*args, **kwargs)
            self._pair(operation, copy)
        tensors = tree.flatten(results)
        if len(tensors) == 1:
            if is_block_part:
                self._forget_inner_names(own, tensors[0])
            # Re-inserted to keep the order of the last calls.
            self._tensors.pop(own, None)
            self._tensors[own] = tensors[0]
        return results

    def _forget_inner_names(self, own: str, output: keras.KerasTensor) -> None:
        """Keep only the block's own name for its output."""
        self._tensors = {
            name: tensor
            for name, tensor in self._tensors.items()
            if tensor is not output or not name.startswith(own + "/")
        }

    def _call_container(self, container: Any, args: Any, kwargs: Any, path: str) -> Any:
        if has_graph(container):
            known = match_inputs(container, args, kwargs)
            outputs = container.outputs[0] if len(container.outputs) == 1 else container.output
            self._inline(nodes_to(outputs, stop=known), known, path)
            return tree.map_structure(lambda tensor: known[id(tensor)], outputs)
        with traced(container, args, kwargs) as (known, outputs):
            nodes = nodes_to(outputs, stop=known)
            check_all_weights_traced(container, nodes)
            self._inline(nodes, known, path)
            return tree.map_structure(lambda tensor: known[id(tensor)], outputs)

    def _inline(self, nodes: Iterable[Any], known: dict[int, Any], path: str) -> None:
        for node in nodes:
            arguments = node.arguments.fill_in(known)
            args, kwargs = tree.map_structure(self._own, arguments)
            results = self._call(node.operation, args, kwargs, path)
            for old, new in zip(node.outputs, tree.flatten(results), strict=True):
                known[id(old)] = new

    def _own(self, value: Any) -> Any:
        """Return the clone's copy of an argument that is a weight of a subclassed model."""
        if not isinstance(value, keras.Variable):
            return value
        if id(value) not in self._variables:
            is_float = keras.backend.is_float_dtype(value.dtype)
            copy = keras.Variable(
                "zeros", shape=value.shape, dtype="float32" if is_float else value.dtype
            )
            self._variables[id(value)] = copy
            self._pairs.append((value, copy))
        return self._variables[id(value)]

    def _copy(self, operation: keras.Operation, path: str) -> keras.Operation:
        if id(operation) not in self._copies:
            # Keras allows no "/" in a layer's name; `_tensors` has the path.
            base = operation.name if operation.name not in self._operation_names else path
            base = name = base.replace("/", ".")
            count = 1
            while name in self._operation_names:
                count += 1
                name = f"{base}_{count}"
            self._operation_names.add(name)
            # Keep a reference to the original so that no other object can get its id.
            self._copies[id(operation)] = operation, copy_operation(operation, name)
        return self._copies[id(operation)][1]

    def _pair(self, operation: keras.Operation, copy: keras.Operation) -> None:
        # The copy has weights once it was called; a shared layer is called more than once.
        if id(operation) not in self._paired:
            self._paired.add(id(operation))
            self._pairs.extend(weight_pairs(operation, copy))
