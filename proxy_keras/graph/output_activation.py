"""Logits of a classifier that returns probabilities: its softmax or sigmoid, undone.

Where the graph ends with the activation, it is left out. Where it ends with a mixture of
activations, such as an average of networks, the logits are the centred logarithm (softmax) or the
log-odds (sigmoid) of the mixture, computed from the networks' own logits, so that saturated
networks keep their gradients.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from proxy_keras.graph.activation_mixture import SIGMOID, SOFTMAX, mixture_of

_TOLERANCE = 1e-3
_MOST_ZEROS = 0.1
_NOISE_SIZE = 224
"""Side of the noise for a network that takes any size."""
_SMALLEST = 1e-37


def logits_of(model: keras.Model) -> tuple[keras.KerasTensor, str | None, bool]:
    """Return the logits of a classifier's output, and what the output is.

    Where the graph does not tell what the output is, it is measured on noise.

    Args:
        model: A flat copy with output [B, K]. A layer that applies the activation last gets a
            linear one.

    Returns:
        Logits [B, K]; the activation of which is the output, "softmax", "sigmoid", "log_softmax",
        "log_sigmoid", or None if the output is the logits; and whether it was measured.
    """
    output = model.outputs[0]
    found = mixture_of(output)
    if found is not None and found.activation == "linear":
        return output, None, False
    is_whole = (
        found is not None and abs(found.weight - 1.0) < 1e-6 and found.axis == len(output.shape) - 1
    )
    if found is not None and is_whole and found.logits is not None:
        return found.logits(), found.activation, False
    if found is not None and is_whole and found.activation in (SOFTMAX, SIGMOID):
        return _from_logs(found.log, found.activation), found.activation, False
    activation = measured_activation(answers_to_noise(model))
    if activation is None:
        return output, None, True

    def log(of_rest: bool) -> keras.KerasTensor:
        return ops.log(ops.maximum(1.0 - output if of_rest else output, _SMALLEST))

    return _from_logs(log, activation), activation, True


def without_activation(output: keras.KerasTensor) -> tuple[keras.KerasTensor, str | None]:
    """Return the tensor before a final softmax or sigmoid, and the name of that activation.

    Args:
        output: [B, K]. A layer that applies the activation last gets a linear one.

    Returns:
        The output itself and None if its graph shows no activation; the output itself and "a
        mixture of NAME" if it shows several, which cannot be left out.
    """
    found = mixture_of(output)
    if found is None or found.activation == "linear":
        return output, None
    if found.logits is None:
        return output, f"a mixture of {found.activation}"
    return found.logits(), found.activation


def measured_activation(outputs: NDArray[np.float32]) -> str | None:
    """Return what outputs are, by their range and sums: "softmax", "sigmoid" or None for logits.

    Args:
        outputs: [N, K] of images that differ a lot.
    """
    if not (np.isfinite(outputs).all() and outputs.min() >= 0.0 and outputs.max() <= 1.0 + 1e-6):
        return None
    if np.abs(outputs.sum(axis=1) - 1.0).max() <= _TOLERANCE:
        return SOFTMAX
    # Unlike a sigmoid, a rectifier returns many zeros.
    is_open = ((outputs > 0.0) & (outputs < 1.0)).any() and (outputs == 0.0).mean() < _MOST_ZEROS
    return SIGMOID if is_open else None


def answers_to_noise(model: keras.Model) -> NDArray[np.float32]:
    """Return the outputs [N, K] of a network for noise of many ranges."""
    shape = [size or _NOISE_SIZE for size in model.inputs[0].shape[1:]]
    noise = np.random.default_rng(0).uniform(size=(4, *shape))
    images = [noise * scale + shift for scale, shift in ((1, 0), (2, -1), (255, 0))]
    outputs = model(np.concatenate(images).astype(np.float32), training=False)
    return ops.convert_to_numpy(outputs)


def _from_logs(log: Callable[[bool], keras.KerasTensor], activation: str) -> keras.KerasTensor:
    """Return the log-odds of independent classes, or the centred logarithms of others."""
    of_class = log(False)
    if activation == SIGMOID:
        return of_class - log(True)
    # Centred, so that the logit of a class whose probability is 1 still has a gradient.
    return of_class - ops.mean(of_class, axis=-1, keepdims=True)
