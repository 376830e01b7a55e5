"""A check that gradients reach what a method explains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from proxy_keras.attribution.method import GradientMethod, Method
from proxy_keras.graph import FlatClone, has_gradient


@contextmanager
def missing_gradients_named(name: str) -> Iterator[None]:
    """Say what to do where TensorFlow has no gradient of an operation, as in a Lambda layer.

    Args:
        name: The name of the method.

    Raises:
        ValueError: It has none.
    """
    try:
        yield
    except LookupError as error:
        text = str(error)
        if "gradient registry has no entry for: " not in text:
            raise
        operation = text.rsplit(": ", 1)[1]
        raise ValueError(
            f"Method '{name}' needs gradients, and TensorFlow has none of the operation "
            f"{operation}. Use a method that needs none, such as occlusion or rise, or grad_cam "
            "with a layer after it; or replace it in the model by keras.ops or keras.layers."
        ) from error


def check_gradients(
    flat: FlatClone, method: Method, name: str, layer: keras.KerasTensor | None
) -> None:
    """Check that the network is differentiable as far as a method needs it.

    Args:
        flat: The network.
        method: The method.
        name: Its name, for the message.
        layer: The output of the target layer; None: the method has none.

    Raises:
        ValueError: The gradients would be zero, because of integers or steps on the way.
    """
    image = flat.model.inputs[0]
    if method.needs_image_gradient and not has_gradient(image, flat.output):
        what, other = "image", "grad_cam, occlusion or rise"
    elif (
        isinstance(method, GradientMethod)
        and layer is not None
        and not has_gradient(layer, flat.output)
    ):
        what, other = "target layer", "eigen_cam, occlusion or rise"
    else:
        return
    raise ValueError(
        f"Method '{name}' needs gradients of the {what}, but the model converts it to integers, or "
        f"rounds it, so that they are zero. Use a method that needs none, such as {other}, or "
        "remove the conversion from the model."
    )
