"""The layer whose cells are told apart: one in which there is evidence."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Score
from proxy_keras.attribution.target_layer import expose_target, find_target_layer
from proxy_keras.graph import FlatClone
from proxy_keras.graph.nodes import downstream

_ROUNDING = 1e-5
"""Share of the sum of magnitudes at or below which a sum is rounding error."""

_ANY_SIZE = 64
"""Side in pixels of the image with which a model for any size is tried."""

_NORMALISATIONS = ("LayerNormalization", "RMSNormalization", "GroupNormalization")


def expose_evident_target(
    flat: FlatClone, target_layer: str | None
) -> tuple[str, keras.KerasTensor]:
    """Return the name and output [B, h, w, D] of a layer whose cells hold evidence.

    Where the logits do not depend on the scale of a layer's output, as before a layer
    normalisation without a way around it, activations times gradients sum to zero. In a vision
    transformer with a class token, the patches enter the last block like that. Then the
    normalisation itself is the layer, unless another one was named.

    Args:
        flat: The classifier, with its transformer blocks inlined.
        target_layer: Name of the layer; None: find it.

    Raises:
        ValueError: There is no such layer, or its cells hold no evidence.
    """
    name = find_target_layer(flat) if target_layer is None else target_layer
    normalised = _normalisation_of(flat, name)
    found, layer = expose_target(flat, name)
    if not _is_rounding(flat, layer):
        return found, layer
    if target_layer is None and normalised is not None:
        return expose_target(flat, normalised)
    instead = f"'{normalised}'" if normalised is not None else "a later one"
    raise ValueError(
        f"Evidence in the layer '{name}' is only rounding error, because the logits do not depend "
        f"on the scale of its output, as before a layer normalisation. Use {instead} instead "
        "(--layer, target_layer=)."
    )


def predicted_over_mean(logits: tf.Tensor) -> Score:
    """Return the score "logit of the predicted class minus the mean logit"."""
    classes = logits.shape[1]
    return Score(tf.one_hot(tf.argmax(logits, axis=1), classes) - 1.0 / classes)


def _normalisation_of(flat: FlatClone, name: str) -> str | None:
    """Return the normalisation that reads a layer's output first; None if there is none."""
    for node in downstream(flat.tensor(name), flat.output):
        if type(node.operation).__name__ in _NORMALISATIONS:
            return flat.name_of(node.outputs[0])
    return None


def _is_rounding(flat: FlatClone, layer: keras.KerasTensor) -> bool:
    """Return whether the evidence of the layer's cells is rounding error, tried on noise."""
    shape = [side or _ANY_SIZE for side in flat.model.inputs[0].shape[1:]]
    noise = np.random.default_rng(0).uniform(0, 255, [1, *shape]).astype(np.float32)
    network = Network(flat, layer)
    activations, rest = network.run_features(tf.constant(noise))
    _, gradients = network.gradients(activations, rest, predicted_over_mean)
    parts = activations * gradients
    sums = tf.reduce_max(tf.abs(tf.reduce_sum(parts, axis=-1)))
    magnitudes = tf.reduce_max(tf.reduce_sum(tf.abs(parts), axis=-1))
    # Without any gradient there is no evidence in this image, which says nothing of others.
    return bool((magnitudes > 0) & (sums < _ROUNDING * magnitudes))
