"""Optional packages: a missing one is named together with the extra that installs it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

PROJECT = "proxy-attention-keras"

_OURS = ("proxy_keras", "tuner", "export", "serve")


_BACKENDS = ("jax", "openvino", "torch")
"""Packages that only Keras imports, for a backend other than TensorFlow."""


class MissingExtra(ModuleNotFoundError):
    """An optional package is not installed. The message names the extra to install."""


class WrongBackend(MissingExtra):
    """Keras runs on a backend other than TensorFlow, whose gradients and datasets are used.

    Args:
        backend: The backend.
    """

    def __init__(self, backend: str) -> None:
        super().__init__(
            "proxy_keras trains and explains with Keras on TensorFlow. Received: the backend "
            f"{backend!r}. Set the environment variable KERAS_BACKEND=tensorflow before Keras is "
            'imported, or "backend": "tensorflow" in ~/.keras/keras.json.'
        )


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Name the extra to install when an import in the block fails.

    Around nested blocks, the outermost extra is named.

    ```python
    with extra("explain"):
        from lime.lime_base import LimeBase
    ```

    Args:
        name: The extra in `pyproject.toml` that installs what the block imports.

    Raises:
        MissingExtra: A package that the block imports is not installed.
        WrongBackend: Keras is set to a backend other than TensorFlow, which is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or package in _OURS or package in sys.stdlib_module_names:
            raise
        if package in _BACKENDS:
            raise WrongBackend(package) from error
        message = f"`{package}` needs `pip install {PROJECT}[{name}]`"
        raise MissingExtra(message, name=error.name) from error


@contextmanager
def command_extra(name: str, module: str) -> Iterator[None]:
    """Guard the imports of a command like `extra`; when it runs, print the error and exit.

    Args:
        name: The extra that the command needs.
        module: `__name__` of the command's module.

    Raises:
        MissingExtra: A package is not installed, and the command is only imported.
        SystemExit: A package is not installed, and the command runs. The exit code is 2.
    """
    try:
        with extra(name):
            yield
    except MissingExtra as error:
        if module != "__main__":
            raise
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
