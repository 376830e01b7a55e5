"""Conversion of a flat Keras model and its heatmap to one ONNX graph, with little memory."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
import tf2onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from export.resizing import omit_scales, size_handlers

FEATURES = "features"
"""Name of the model that computes the target layer's output, see `FlatClone.split`."""

OUTPUTS = ("logits", "probabilities", "heatmap", "cues", "ticked_share")
"""Outputs of a file, in this order; without the heatmap if `explain` is "none", and without the
last two if it has no cues."""

OPSET = 17
"""ONNX opset version: the newest that tf2onnx 1.17 writes and all Triton versions read."""

INPUT = "image"

# Weights with more elements are inputs during the conversion, without values: tf2onnx copies each
# constant some forty times. Small ones stay, because its optimiser folds biases and scales.
_LARGE = 4096


@dataclass(frozen=True)
class Converted:
    """An ONNX graph, split into features and head.

    Attributes:
        model: The graph.
        features: Names of the nodes that compute the inputs of the head: the target layer's output
            and others; without a heatmap, all nodes before the last layer.
    """

    model: onnx.ModelProto
    features: frozenset[str]

    @property
    def head(self) -> list[str]:
        """Names of the nodes after the features."""
        return [node.name for node in self.model.graph.node if node.name not in self.features]

    @property
    def cut(self) -> list[str]:
        """Names of the tensors that the head reads from the features."""
        nodes = self.model.graph.node
        made = {o for node in nodes if node.name in self.features for o in node.output}
        read = {i for node in nodes if node.name not in self.features for i in node.input}
        return sorted(made & read)


def to_onnx(
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    variables: list[keras.Variable],
    image_shape: tuple[int, int, int],
    dtype: str,
) -> Converted:
    """Convert a function of images to an ONNX graph.

    Args:
        function: Images [B, H, W, C] float32 to named outputs.
        variables: All weights that the function uses.
        image_shape: (H, W, C).
        dtype: Type of the graph's input, "uint8" or "float32".

    Returns:
        A model of opset 17 with standard ONNX operators only and one input, `image` [N, H, W, C].
        It passes the ONNX checker.

    Raises:
        ValueError: An operation cannot be expressed in ONNX; the message names it.
    """
    large = {
        f"weight_{number}": variable
        for number, variable in enumerate(variables)
        if np.prod(variable.shape) > _LARGE
    }
    signature = [
        tf.TensorSpec([None, *image_shape], dtype, name=INPUT),
        *(tf.TensorSpec(v.shape, v.dtype, name=name) for name, v in large.items()),
    ]

    def traced(image: tf.Tensor, *weights: tf.Tensor) -> dict[str, tf.Tensor]:
        given = list(zip(large.values(), weights, strict=True))
        with keras.StatelessScope(state_mapping=given), _inlined():
            return function(tf.cast(image, tf.float32))

    graph_function = tf.function(traced, input_signature=signature, autograph=False)
    captured = {
        placeholder.name: value
        for value, placeholder in graph_function.get_concrete_function().graph.captures
        if value.dtype != tf.resource
    }
    with quiet("tf2onnx"):
        model, _ = tf2onnx.convert.from_function(
            graph_function, signature, opset=OPSET, custom_op_handlers=size_handlers()
        )
    values = {name: variable.numpy() for name, variable in large.items()}
    values |= {name: value.numpy() for name, value in captured.items()}
    _set_values(model.graph, values)
    model.graph.output.sort(key=lambda output: OUTPUTS.index(output.name))
    _replace_erfc(model.graph)
    omit_scales(model.graph)
    unknown = {
        f"{node.op_type} (in {_place_of(node)})"
        for node in model.graph.node
        if not onnx.defs.has(node.op_type, node.domain)
    }
    if unknown:
        raise ValueError(
            f"ONNX has no operator for {', '.join(sorted(unknown))}, which the model uses. Use "
            "other layers, or another --explain method."
        )
    outputs = _outputs_of_features(model.graph)
    folded = _folded(model)
    return Converted(folded, _before(outputs or _inputs_of_logits(folded.graph), folded.graph))


def _place_of(node: onnx.NodeProto) -> str:
    """Return the layer of a node, as far as its name tells."""
    # Such as "features_1/cells_1/Lgamma": Keras adds the numbers.
    layers = re.sub(rf"^({FEATURES}|head|flat_clone)(_\d+)?/", "", node.name).rpartition("/")[0]
    return repr(re.sub(r"_\d+$", "", layers) or node.name)


def _outputs_of_features(graph: onnx.GraphProto) -> set[str]:
    """Return the tensors that the head reads from the features."""
    inside = [node for node in graph.node if node.name.startswith(FEATURES)]
    made = {output for node in inside for output in node.output}
    read = {i for node in graph.node if not node.name.startswith(FEATURES) for i in node.input}
    return made & read


def _inputs_of_logits(graph: onnx.GraphProto) -> set[str]:
    return next(set(node.input) for node in graph.node if "logits" in node.output)


def _before(tensors: set[str], graph: onnx.GraphProto) -> frozenset[str]:
    """Return the names of the nodes that compute these tensors, if they still exist."""
    makers = {output: node for node in graph.node for output in node.output}
    found: set[str] = set()
    pending = [makers[name] for name in tensors if name in makers]
    while pending:
        node = pending.pop()
        if node.name not in found:
            found.add(node.name)
            pending.extend(makers[name] for name in node.input if name in makers)
    return frozenset(found)


def _set_values(graph: onnx.GraphProto, values: Mapping[str, NDArray[Any]]) -> None:
    """Turn inputs other than the image (weights and captured constants) into initializers."""
    for given in [item for item in graph.input if item.name != INPUT]:
        graph.input.remove(given)
        graph.initializer.append(numpy_helper.from_array(values[given.name], given.name))


def _replace_erfc(graph: onnx.GraphProto) -> None:
    """Replace Erfc, which ONNX does not have, with 1 - Erf."""
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        one, erf = f"{node.name}_one", f"{node.name}_erf"
        graph.initializer.append(numpy_helper.from_array(np.ones([], np.float32), one))
        nodes.append(helper.make_node("Erf", [node.input[0]], [erf], name=erf))
        nodes.append(helper.make_node("Sub", [one, erf], list(node.output), name=node.name))
    del graph.node[:]
    graph.node.extend(nodes)


def _restore_means(model: onnx.ModelProto) -> None:
    """Turn poolings over each token's features, as tf2onnx writes means, back into means.

    ONNX Runtime sums poolings less exactly, which shows in the layer normalisation of a ViT.
    """
    known = onnx.shape_inference.infer_shapes(model).graph
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in (*known.value_info, *known.input)}
    for node in model.graph.node:
        if node.op_type == "GlobalAveragePool" and ranks.get(node.input[0]) == 3:
            node.op_type = "ReduceMean"
            node.attribute.append(helper.make_attribute("axes", [2]))
            node.attribute.append(helper.make_attribute("keepdims", 1))


def _folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Fold constants, and merge scales and biases into convolutions."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        onnx.save(model, path / "model.onnx")
        options = onnxruntime.SessionOptions()
        # This level folds and merges, but only uses standard operators.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path / "folded.onnx")
        options.log_severity_level = 3
        onnxruntime.InferenceSession(
            path / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        folded = onnx.load(path / "folded.onnx")
    foreign = {node.op_type for node in folded.graph.node if node.domain}
    if foreign:
        raise ValueError(
            f"The optimised graph has non-standard operators {', '.join(sorted(foreign))}. Use the "
            "tested version of ONNX Runtime (constraints.txt)."
        )
    for node in folded.graph.node:
        # Merged nodes have no name.
        node.name = node.name or node.output[0]
    _restore_means(folded)
    del folded.opset_import[:]
    folded.opset_import.append(helper.make_opsetid("", OPSET))
    onnx.checker.check_model(folded, full_check=True)
    return folded


@contextmanager
def _inlined() -> Iterator[None]:
    """Trace the functions that are called as part of the caller. A context manager.

    Keras compiles grouped convolutions with XLA, which tf2onnx cannot see into.
    """
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextmanager
def quiet(name: str | None) -> Iterator[None]:
    """Silence a logger; its warnings are checked afterwards. A context manager."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
