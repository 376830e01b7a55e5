"""Sanity check: heatmaps must change when the model's weights are randomised."""

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

# Vectors of normalisation layers that start at 1; all others start at 0.
_ONES = ("gamma", "scale", "variance")


@dataclass(frozen=True)
class ParameterRandomisation:
    """The similarity of heatmaps before and after layers are randomised.

    Attributes:
        mode: "cascading" or "independent".
        layers: Names of the L layers, from the logits to the input.
        spearman: [L, B] in [-1, 1], rank correlation with the heatmaps of the trained model.
        ssim: [L, B] in [-1, 1], structural similarity with them.
    """

    mode: str
    layers: tuple[str, ...]
    spearman: NDArray[np.float64]
    ssim: NDArray[np.float64]

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per layer: its name and the means over the images."""
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
    """Compare heatmaps before and after layers are re-initialised: a sound method's change.

    Only the weights of the explainer's copy are changed. Kernels are drawn from a He normal
    distribution, biases become 0, and normalisation layers are reset: scale 1, shift 0, and in
    batch normalisation moving mean 0 and moving variance 1. A layer without a kernel, such as batch
    normalisation, is initialised together with the layer before it. The statistics of a
    `keras.layers.Normalization` describe the data and are kept.

    Args:
        model: A built Keras classifier.
        images: [B, H, W, C], in the range that the model takes.
        method: A name from `attribution.names()`, or a `ClassExplainer` of the model.
        mode: "cascading": randomise a layer and all layers between it and the logits;
            "independent": randomise that layer only.
        layers: The layers to compare at, from `weight_layers(model)`; a cascade still randomises
            the others. None: all.
        class_ids: [B] integers, or one for all. None: the classes that the trained model predicts.
            The explained class stays the same.
        options: Options of the method.
        batch_size: Images per batch, >= 1.
        seed: Seed of the weights; a layer gets the same ones in both modes.

    Raises:
        ValueError: An argument has an invalid shape or value, or a layer is unknown.

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
    """Return the names of layers with kernels, from the logits down; nested ones may be paths."""
    return tuple(_weight_groups(FlatClone(model)))


def _weight_groups(clone: FlatClone) -> dict[str, list[keras.layers.Layer]]:
    """Group layers: each one with a kernel, by name, plus the kernel-less layers after it."""
    groups: list[list[keras.layers.Layer]] = []
    pending: list[keras.layers.Layer] = []
    seen: set[int] = set()
    for node in nodes_to(clone.output):
        layer = node.operation
        if id(layer) in seen or not any(True for _ in _trained_variables(layer)):
            continue
        seen.add(id(layer))
        if any(len(variable.shape) > 1 for _, variable in _trained_variables(layer)):
            groups.append([layer, *pending])
            pending = []
        elif groups:
            groups[-1].append(layer)
        else:
            # Normalisation of the images belongs to the first layer with a kernel.
            pending.append(layer)
    return {group[0].name: group for group in reversed(groups)}


def _trained_variables(operation: keras.Operation) -> Iterator[tuple[str, keras.Variable]]:
    """Yield (path in the user's layer, variable of the copy) for what training changes."""
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
        for path, variable in _trained_variables(layer):
            name = path.rsplit("/", 1)[-1]
            variable.assign(
                _initial(name, tuple(variable.shape), is_depthwise or "depthwise" in name, rng)
            )


def _initial(
    name: str, shape: tuple[int, ...], is_depthwise: bool, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return initial values for a variable."""
    if len(shape) < 2:
        is_one = any(part in name for part in _ONES)
        return np.full(shape, 1.0 if is_one else 0.0, np.float32)
    fan_in = math.prod(shape[:-2] if is_depthwise else shape[:-1])
    return rng.normal(0.0, math.sqrt(2.0 / max(1, fan_in)), shape).astype(np.float32)


def _checked_layers(layers: Sequence[str] | None, known: list[str]) -> set[str]:
    if not known:
        raise ValueError("The model has no weights to randomise.")
    if layers is None:
        return set(known)
    unknown = [name for name in layers if name not in known]
    if unknown or not layers:
        raise ValueError(
            f"`layers` must name at least one layer with a kernel. Received: {list(layers)}; "
            f"unknown: {unknown}. Known: {', '.join(known)}"
        )
    return set(layers)
