"""Search for the target layer in convolutional networks and transformers."""

from __future__ import annotations

from typing import Any

import keras

from proxy_keras.attribution.token_grid import expose_grid, grid_shape
from proxy_keras.graph import (
    FlatClone,
    frontier,
    inputs_of,
    is_attention,
    nodes_to,
    operation_of,
    original_of,
)

# They select, mask or move activations, but compute no new features.
_PASSING_LAYERS = (
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
    keras.layers.AdaptiveAveragePooling2D,
    keras.layers.AdaptiveMaxPooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.Identity,
)
_PASSING_OPERATIONS = ("MaxPool", "AveragePool", "Pad", "Identity", "Cast")


def find_target_layer(flat: FlatClone) -> str:
    """Return the name of the last layer with spatial positions.

    In a convolutional network, the last activation [B, h, w, D] with more than one cell before the
    final pooling, after the last convolution's batch normalisation and activation. In a
    transformer, the layer whose tokens [B, T, D] enter the last attention block.

    Args:
        flat: The classifier. Not modified.

    Returns:
        A name for `flat.tensor()`.

    Raises:
        ValueError: There is no such layer.
    """
    nodes = nodes_to(flat.output)
    maps = _last_map(nodes)
    tokens = _last_tokens(nodes, flat.output, after=maps)
    found = maps if tokens is None else tokens
    if found is None and any(
        isinstance(original_of(node.operation), keras.layers.TFSMLayer) for node in nodes
    ):
        raise ValueError(
            "No target layer was found: a TFSMLayer hides the layers of its SavedModel. Use a "
            "method of the image, such as saliency, occlusion or rise, or rebuild the network of "
            "Keras layers."
        )
    if found is None:
        raise ValueError(
            "No target layer was found: neither an activation [B, h, w, D] with more than one cell "
            "after a layer with weights, nor tokens [B, T, D] that enter an attention layer. Pass "
            f"target_layer=, one of: {list(flat.names)}"
        )
    return flat.name_of(found)


def expose_target(flat: FlatClone, target_layer: str | None) -> tuple[str, keras.KerasTensor]:
    """Return the target layer's name and its output [B, h, w, D], with tokens arranged as a grid.

    Args:
        flat: The classifier. If the target is tokens, its graph is rewired through the grid.
        target_layer: Name of a layer, or None to search for it.

    Returns:
        Name, and a tensor of `flat`.

    Raises:
        ValueError: None was found, or the named layer does not exist or has no spatial positions.
    """
    name = find_target_layer(flat) if target_layer is None else target_layer
    tensor = flat.tensor(name)
    shape = tuple(tensor.shape)
    if len(shape) == 4 and shape[1:3] != (1, 1):
        if getattr(operation_of(tensor), "data_format", None) == "channels_first":
            raise ValueError(
                f"Layer '{name}' has output [B, D, h, w]; attribution needs [B, h, w, D]. Build "
                "the model with data_format='channels_last'."
            )
        return name, tensor
    if len(shape) == 3:
        grid = grid_shape(shape[1], tuple(flat.model.inputs[0].shape))
        if grid is not None:
            return name, expose_grid(flat, tensor, grid, f"{name}_grid")
    found = None if target_layer is None else find_target_layer(flat)
    raise ValueError(
        f"Layer '{name}' has output {_shown(shape)}; a target layer needs [B, H, W, C] with "
        "more than one cell, or tokens [B, T, C] that fill a grid. "
        + (f"Pass target_layer='{found}'." if found else f"Pass one of: {list(flat.names)}")
    )


def _last_map(nodes: list[Any]) -> keras.KerasTensor | None:
    """Return the deepest tensor [B, h, w, D], h * w > 1, after a kernel and before any pooling."""
    depths: dict[int, int] = {}
    has_kernel: dict[int, bool] = {}
    best: tuple[int, keras.KerasTensor] | None = None
    for node in nodes:
        depth = 1 + max((depths.get(id(tensor), 0) for tensor in node.input_tensors), default=0)
        # Outputs of Rescaling and Normalization at the input still are the image itself.
        kernels = any(has_kernel.get(id(tensor), False) for tensor in node.input_tensors) or any(
            len(weight.shape) > 1 for weight in getattr(node.operation, "weights", [])
        )
        for tensor in node.outputs:
            depths[id(tensor)] = depth
            has_kernel[id(tensor)] = kernels
            if kernels and _has_cells(tensor) and (best is None or depth >= best[0]):
                best = depth, tensor
    if best is None:
        return None
    tensor = best[1]
    while _is_passing(operation_of(tensor)) and has_kernel.get(id(inputs_of(tensor)[0]), False):
        tensor = inputs_of(tensor)[0]
    return tensor


def _last_tokens(
    nodes: list[Any], output: keras.KerasTensor, after: keras.KerasTensor | None
) -> keras.KerasTensor | None:
    """Return the input [B, T, D] of the last attention block, if the block is after `after`."""
    made = [tensor for node in nodes for tensor in node.outputs]
    start = -1 if after is None else next(i for i, t in enumerate(made) if t is after)
    later = {id(tensor) for tensor in made[start + 1 :]}
    for node in reversed(nodes):
        if id(node.outputs[0]) in later and _attends_to_tokens(node):
            before = [t for parent in nodes_to(list(node.input_tensors)) for t in parent.outputs]
            # Branches within the block carry only part of the signal; its input carries all.
            return next(
                (t for t in reversed(before) if len(t.shape) == 3 and not frontier(t, output)),
                None,
            )
    return None


def _attends_to_tokens(node: Any) -> bool:
    operation = original_of(node.operation)
    parts = operation._flatten_layers() if isinstance(operation, keras.Layer) else [operation]
    return any(is_attention(part) for part in parts) and len(node.input_tensors[0].shape) == 3


def _has_cells(tensor: keras.KerasTensor) -> bool:
    return len(tensor.shape) == 4 and tuple(tensor.shape[1:3]) != (1, 1)


def _is_passing(operation: keras.Operation) -> bool:
    is_linear = isinstance(operation, keras.layers.Activation) and (
        operation.activation is keras.activations.linear
    )
    return (
        is_linear
        or isinstance(operation, _PASSING_LAYERS)
        or type(operation).__name__ in _PASSING_OPERATIONS
    )


def _shown(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join(['B', *(str(size) for size in shape[1:])])}]"
