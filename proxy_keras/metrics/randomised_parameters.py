"""Sanity check: heatmaps must change when what the model learned is wiped out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.graph import FlatClone, nodes_to
from proxy_keras.graph.float32_copy import BorrowedLayer
from proxy_keras.metrics.class_explainer import ClassExplainer
from proxy_keras.metrics.map_similarity import compare

MODES = ("cascading", "independent")

# What normalisation multiplies or divides by; all other vectors start at 0.
_ONES = ("gamma", "scale", "variance")


@dataclass(frozen=True)
class ParameterRandomisation:
    """How alike heatmaps stay while layer after layer is set back to random weights.

    Attributes:
        mode: "cascading" or "independent".
        layers: Names of the L layers, from the logits down.
        spearman: [L, B] in [-1, 1], rank correlation with the heatmaps of the trained model.
        ssim: [L, B] in [-1, 1], structural similarity with them.
    """

    mode: str
    layers: tuple[str, ...]
    spearman: NDArray[np.float64]
    ssim: NDArray[np.float64]

    def rows(self) -> list[dict[str, Any]]:
        """One row per layer: its name and the means over the images."""
        means = self.spearman.mean(axis=1), self.ssim.mean(axis=1)
        return [
            {"mode": self.mode, "layer": layer, "spearman": float(rank), "ssim": float(structure)}
            for layer, rank, structure in zip(self.layers, *means, strict=True)
        ]


def parameter_randomisation(
    model: keras.Model,
    images: Any,
    method: str | ClassExplainer = "grad_cam_plus_plus",
    *,
    mode: str = "cascading",
    layers: Sequence[str] | None = None,
    class_ids: Any = None,
    options: Mapping[str, Any] | None = None,
    batch_size: int = 32,
    seed: int = 0,
) -> ParameterRandomisation:
    """How alike heatmaps stay when layers are initialised anew: a sound method's do not.

    Weights are drawn anew in the explainer's copy; the model keeps its own. Kernels are drawn from
    a He normal distribution, biases become 0, and normalisation becomes that of a new layer: scale
    1, shift 0, and in batch normalisation also moving mean 0 and moving variance 1. A layer without
    a kernel, such as batch normalisation, is initialised with the layer before it. The statistics
    of a `keras.layers.Normalization`, which are of the data, stay.

    Args:
        model: A built Keras classifier.
        images: [B, H, W, C], in the range that the model takes.
        method: A name from `attribution.names()`, or a `ClassExplainer` of the model.
        mode: "cascading": a layer and all above it, from the logits down, are random;
            "independent": that layer alone is.
        layers: The layers to compare at, from `weight_layers(model)`; a cascade passes the others
            without comparing. None: all.
        class_ids: [B] integers, or one for all. None: the classes that the trained model predicts.
            The class that is explained stays the same.
        options: Options of the method.
        batch_size: Images at a time, >= 1.
        seed: Decides the weights; a layer gets the same ones in both modes.

    Raises:
        ValueError: An argument has the wrong shape or no meaning, or a layer is not known.

    Source: Adebayo et al., Sanity Checks for Saliency Maps (NeurIPS 2018), section 3.
    """
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {MODES}. Received: {mode!r}")
    images = np.asarray(images, np.float32)
    explainer = ClassExplainer.of(model, method, options, batch_size)
    groups = _weight_groups(explainer.explainer.clone)
    chosen = _checked_layers(layers, list(groups))
    ids = explainer.class_ids(images, class_ids)
    trained = explainer.heatmaps(images, ids)
    similarities = []
    try:
        for index, (name, group) in enumerate(groups.items()):
            if mode == "independent":
                explainer.explainer.refresh()
            if mode == "cascading" or name in chosen:
                _initialise(group, [seed, index])
            if name in chosen:
                similarities.append(compare(trained, explainer.heatmaps(images, ids)))
    finally:
        explainer.explainer.refresh()
    return ParameterRandomisation(
        mode,
        tuple(name for name in groups if name in chosen),
        np.stack([similarity.spearman for similarity in similarities]),
        np.stack([similarity.ssim for similarity in similarities]),
    )


def weight_layers(model: keras.Model) -> tuple[str, ...]:
    """Names of the layers that hold kernels, from the logits down; nested ones may be paths."""
    return tuple(_weight_groups(FlatClone(model)))


def _weight_groups(clone: FlatClone) -> dict[str, list[keras.layers.Layer]]:
    """The layers with kernels by name, from the logits down, each with those that follow it."""
    groups: list[list[keras.layers.Layer]] = []
    waiting: list[keras.layers.Layer] = []
    seen: set[int] = set()
    for node in nodes_to(clone.output):
        layer = node.operation
        if id(layer) in seen or not any(True for _ in _learned(layer)):
            continue
        seen.add(id(layer))
        if any(len(variable.shape) > 1 for _, variable in _learned(layer)):
            groups.append([layer, *waiting])
            waiting = []
        elif groups:
            groups[-1].append(layer)
        else:
            # Normalisation of the image itself goes with the first layer that has a kernel.
            waiting.append(layer)
    return {group[0].name: group for group in reversed(groups)}


def _learned(operation: keras.Operation) -> Iterator[tuple[str, keras.Variable]]:
    """(the name in the user's layer, variable of the copy) of what training gives a layer."""
    if isinstance(operation, keras.layers.Normalization) or not isinstance(
        operation, keras.layers.Layer
    ):
        return
    is_borrowed = isinstance(operation, BorrowedLayer)
    named = operation.original.variables if is_borrowed else operation.weights
    for source, variable in zip(named, operation.weights, strict=True):
        if keras.backend.is_float_dtype(variable.dtype):
            yield source.path, variable


def _initialise(group: list[keras.layers.Layer], seed: list[int]) -> None:
    rng = np.random.default_rng(seed)
    for layer in group:
        is_depthwise = isinstance(
            layer, keras.layers.DepthwiseConv1D | keras.layers.DepthwiseConv2D
        )
        for path, variable in _learned(layer):
            name = path.rsplit("/", 1)[-1]
            variable.assign(
                _initial(name, tuple(variable.shape), is_depthwise or "depthwise" in name, rng)
            )


def _initial(
    name: str, shape: tuple[int, ...], is_depthwise: bool, rng: np.random.Generator
) -> NDArray[np.float32]:
    """The values of a new variable."""
    if len(shape) < 2:
        is_one = any(part in name for part in _ONES)
        return np.full(shape, 1.0 if is_one else 0.0, np.float32)
    fan_in = math.prod(shape[:-2] if is_depthwise else shape[:-1])
    return rng.normal(0.0, math.sqrt(2.0 / max(1, fan_in)), shape).astype(np.float32)


def _checked_layers(layers: Sequence[str] | None, known: list[str]) -> set[str]:
    if not known:
        raise ValueError("The model has no weights to draw anew.")
    if layers is None:
        return set(known)
    unknown = [name for name in layers if name not in known]
    if unknown or not layers:
        raise ValueError(
            f"`layers` must name at least one layer with a kernel. Received: {list(layers)}, of "
            f"which unknown: {unknown}. Known: {', '.join(known)}"
        )
    return set(layers)
