"""Float32 copies of single Keras layers and operations."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

# Not part of Keras' public API.
from keras.src.backend import AutocastScope

_FLOATS = frozenset(
    {"float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16"}
)
_POLICY = {
    "module": "keras",
    "class_name": "DTypePolicy",
    "config": {"name": "float32"},
    "registered_name": None,
}


class ReplayedOperation(keras.Operation):
    """An operation that calls a `keras.ops` operation without recording anything on it.

    Args:
        operation: The operation of the user's graph, available as `.original`.
        name: Name of the new operation.
    """

    def __init__(self, operation: keras.Operation, name: str) -> None:
        super().__init__(name=name)
        self.original = operation

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the original operation returns."""
        return self.original.call(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return the shapes and dtypes of the output of `call`."""
        return self.original.compute_output_spec(*args, **kwargs)


class BorrowedLayer(keras.layers.Layer):
    """A layer that runs another layer's code in float32, with its own weights.

    A custom layer is not recreated from its config: configs that miss an argument are common (in
    keras_hub too) and would silently give a different layer.

    Args:
        layer: A built layer, available as `.original`. Its state and weights are not modified.
        name: Name of the new layer.
    """

    def __init__(self, layer: keras.layers.Layer, name: str) -> None:
        super().__init__(name=name, dtype="float32", trainable=False)
        self._holder = _Untracked(layer)
        self._slots: dict[int, int] = {}
        for index, variable in enumerate(layer.variables):
            is_float = keras.backend.is_float_dtype(variable.dtype)
            self._slots[id(variable)] = index
            self.add_weight(
                shape=variable.shape,
                dtype="float32" if is_float else variable.dtype,
                initializer="zeros",
                trainable=False,
                name=f"weight_{index}",
            )
        self.built = True

    @property
    def original(self) -> keras.layers.Layer:
        """The user's layer."""
        return self._holder.layer

    def call(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Return what the layer returns in inference, with the copied weights."""
        layer = self.original
        if layer._call_has_training_arg:
            kwargs["training"] = False
        # A stateless call would cast each weight back to its original's dtype, such as bfloat16.
        with _computing_in_float32(layer), AutocastScope("float32"):
            outputs, _ = layer.stateless_call(
                [self._own(variable) for variable in layer.trainable_variables],
                [self._own(variable) for variable in layer.non_trainable_variables],
                *args,
                **kwargs,
            )
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Return the shapes and dtypes of the output, as computed by the original layer."""
        with _computing_in_float32(self.original):
            return self.original.compute_output_spec(*args, **kwargs)

    def _own(self, variable: keras.Variable) -> Any:
        return self.weights[self._slots[id(variable)]].value


class _Untracked:
    """A reference to a layer that Keras' attribute tracking does not see."""

    def __init__(self, layer: keras.layers.Layer) -> None:
        self.layer = layer


def copy_operation(operation: keras.Operation, name: str) -> keras.Operation:
    """Copy a layer (without its weights) or an operation in float32.

    Args:
        operation: A `keras.layers.Layer` or any other `keras.Operation`. Not modified.
        name: Name of the copy.

    Returns:
        An object that shares no variable with `operation`: a layer of the same class if that is a
        Keras class, else a `BorrowedLayer` or a `ReplayedOperation`.
    """
    if not isinstance(operation, keras.layers.Layer):
        if getattr(operation, "dtype", None) in ("float16", "bfloat16"):
            config = {**operation.get_config(), "dtype": "float32", "name": name}
            return type(operation).from_config(config)
        return ReplayedOperation(operation, name)
    if not _is_described_by_config(operation):
        return BorrowedLayer(operation, name)
    config = _for_inference(operation.get_config())
    return type(operation).from_config({**config, "name": name})


def weight_pairs(
    original: keras.Operation, copy: keras.Operation
) -> list[tuple[keras.Variable, keras.Variable]]:
    """Return pairs (variable of the original, variable of the built copy) to copy.

    Raises:
        ValueError: The layer is quantised, so its float32 copy has other weights.
    """
    if not isinstance(original, keras.layers.Layer):
        return []
    is_borrowed = isinstance(copy, BorrowedLayer)
    sources = original.variables if is_borrowed else original.weights
    if [tuple(v.shape) for v in sources] != [tuple(v.shape) for v in copy.weights]:
        raise ValueError(
            f"Layer '{original.name}' ({type(original).__name__}) has weights "
            f"{[tuple(v.shape) for v in sources]}, its float32 copy "
            f"{[tuple(v.shape) for v in copy.weights]}. Explain the model before quantising it."
        )
    return list(zip(sources, copy.weights, strict=True))


@contextmanager
def quiet_construction() -> Iterator[None]:
    """Create layers under the float32 policy without changing global state.

    Python's random state (which seeds unseeded dropouts and initialisers) and the global dtype
    policy are restored at the end.
    """
    policy = keras.config.dtype_policy()
    state = random.getstate()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        random.setstate(state)


def _is_described_by_config(layer: keras.layers.Layer) -> bool:
    """Return whether the layer and its sublayers are Keras classes with Keras activations."""
    for part in layer._flatten_layers():
        functions = [getattr(part, key, None) for key in ("activation", "recurrent_activation")]
        modules = [getattr(f, "__module__", "") for f in functions if callable(f)]
        # Keras refuses to recreate these from a config.
        if isinstance(part, (keras.layers.Lambda, keras.layers.TFSMLayer)) or not all(
            module.startswith("keras.") for module in [type(part).__module__, *modules]
        ):
            return False
    return True


def _for_inference(value: Any, key: str = "") -> Any:
    """Convert a config, or part of one, to float32 and drop what only training needs."""
    if isinstance(value, dict):
        class_name = value.get("class_name")
        if isinstance(class_name, str) and "DTypePolicy" in class_name:
            name = value.get("config", {}).get("name")
            is_integer = class_name == "DTypePolicy" and name not in _FLOATS
            return value if is_integer else dict(_POLICY)
        if key.endswith(("_regularizer", "_constraint")):
            return None
        if key.endswith("_initializer"):
            # The weights are overwritten, and zeros need no random numbers.
            return "zeros"
        return {k: _for_inference(v, k if isinstance(k, str) else "") for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_for_inference(item) for item in value)
    if key.endswith("dtype") and isinstance(value, str) and value in _FLOATS:
        return "float32"
    return value


@contextmanager
def _computing_in_float32(layer: keras.layers.Layer) -> Iterator[None]:
    """Make the layer and its sublayers compute in float32."""
    policies = [
        (part, part._dtype_policy)
        for part in layer._flatten_layers()
        if part.compute_dtype in ("float16", "bfloat16", "float64")
    ]
    for part, _ in policies:
        part._dtype_policy = keras.dtype_policies.DTypePolicy("float32")
    try:
        yield
    finally:
        for part, policy in policies:
            part._dtype_policy = policy
