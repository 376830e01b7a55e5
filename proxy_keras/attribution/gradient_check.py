"""A check that gradients reach what a method explains."""

from __future__ import annotations

import keras

from proxy_keras.attribution.method import GradientMethod, Method
from proxy_keras.graph import FlatClone, has_gradient


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
