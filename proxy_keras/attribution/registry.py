"""The attribution methods by name."""

from __future__ import annotations

import inspect
from typing import Any

from proxy_keras.attribution.faster_score_cam import FasterScoreCAM
from proxy_keras.attribution.grad_cam import GradCAM
from proxy_keras.attribution.grad_cam_plus_plus import GradCAMPlusPlus
from proxy_keras.attribution.layer_cam import LayerCAM
from proxy_keras.attribution.method import Method
from proxy_keras.attribution.score_cam import ScoreCAM

METHODS: dict[str, type[Method]] = {
    "grad_cam": GradCAM,
    "grad_cam_plus_plus": GradCAMPlusPlus,
    "layer_cam": LayerCAM,
    "score_cam": ScoreCAM,
    "faster_score_cam": FasterScoreCAM,
}


def names() -> list[str]:
    """The names of all methods."""
    return list(METHODS)


def get(name: str) -> type[Method]:
    """The class of the method with this name.

    Raises:
        ValueError: There is no such method; the message lists those there are.
    """
    if name not in METHODS:
        raise ValueError(f"Unknown attribution method '{name}'. Known: {', '.join(METHODS)}")
    return METHODS[name]


def make(name: str, options: dict[str, Any]) -> Method:
    """A method made with these options.

    Raises:
        ValueError: Unknown method, unknown option, or an option outside its range.
    """
    method = get(name)
    known = list(inspect.signature(method).parameters)
    unknown = [key for key in options if key not in known]
    if unknown:
        raise ValueError(
            f"Method '{name}' has no option {', '.join(unknown)}. "
            f"Its options: {', '.join(known) or 'none'}"
        )
    return method(**options)
