"""The softmax or sigmoid at the end of a classifier, which attribution leaves out."""

from __future__ import annotations

import keras

from proxy_keras.graph.nodes import inputs_of, operation_of

_ACTIVATIONS = (
    keras.activations.softmax,
    keras.activations.sigmoid,
    keras.activations.log_softmax,
    keras.activations.log_sigmoid,
)
# By class name of the layer or operation.
_OPERATIONS = {
    "Softmax": "softmax",
    "Sigmoid": "sigmoid",
    "LogSoftmax": "log_softmax",
    "LogSigmoid": "log_sigmoid",
}


def without_activation(output: keras.KerasTensor) -> tuple[keras.KerasTensor, str | None]:
    """Return the tensor before a final softmax or sigmoid, and the name of that activation."""
    tensor = output
    while True:
        operation = operation_of(tensor)
        activation = getattr(operation, "activation", None)
        name = _OPERATIONS.get(type(operation).__name__)
        if name is not None:
            return inputs_of(tensor)[0], name
        if activation in _ACTIVATIONS:
            name = activation.__name__
            if isinstance(operation, keras.layers.Activation):
                return inputs_of(tensor)[0], name
            operation.activation = keras.activations.linear
            return output, name
        is_linear = isinstance(operation, keras.layers.Activation) and (
            activation is keras.activations.linear
        )
        is_identity = isinstance(operation, keras.layers.Identity) or is_linear
        if not is_identity and type(operation).__name__ != "Cast":
            return output, None
        tensor = inputs_of(tensor)[0]
