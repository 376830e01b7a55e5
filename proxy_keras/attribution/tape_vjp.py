"""Vector-Jacobian products by TensorFlow's gradient tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def vjp(function: Callable[[Any], Any], inputs: Any) -> tuple[Any, Callable[..., Any]]:
    """Return `function(inputs)`, and a function that pulls gradients back to the inputs.

    Args:
        function: From `inputs` to a tensor or a list of tensors.
        inputs: A tensor or a list of tensors.

    Returns:
        The second takes the gradients of the outputs (None: ones) and returns those of the inputs,
        zeros where the outputs do not depend on them. It can be called once.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        outputs = function(inputs)

    def pull_back(gradients: Any = None) -> Any:
        return tape.gradient(
            outputs,
            inputs,
            output_gradients=gradients,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

    return outputs, pull_back
