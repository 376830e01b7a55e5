"""A saved classifier as the network that a training run starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras

from proxy_keras.graph import has_graph, operation_of
from proxy_keras.graph.output_activation import (
    answers_to_noise,
    measured_activation,
    without_activation,
)
from proxy_keras.io.saved_model import image_size, open_saved
from proxy_keras.models.freezing import unfreeze

_PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


@dataclass(frozen=True)
class SavedNetwork:
    """A classifier from a file, ready to be trained.

    Attributes:
        file: The file.
        model: The network without its softmax: it returns logits. Every layer is trainable.
        classes: The names of its classes, if the file is in a run folder; else None.
        precision: The dtype policy of its layers.
    """

    file: Path
    model: keras.Model
    classes: list[str] | None
    precision: str

    def image_size(self, asked: int | None) -> int | None:
        """Return the side of its images in pixels; `asked` if it takes any size.

        Raises:
            ValueError: Its images are not square, or have another side than `asked`.
        """
        if None in self.model.input_shape[1:3]:
            return asked
        height, width = image_size(self.model, asked)
        if height != width:
            raise ValueError(
                f"Images must be square; {self.file} takes {height} x {width} pixels. Use another "
                "network."
            )
        return height

    def check_precision(self, asked: str) -> None:
        """Check that `asked` is "auto" or the precision of the layers.

        Raises:
            ValueError: It is another.
        """
        if asked not in ("auto", self.precision):
            raise ValueError(
                f"The layers of {self.file} keep the precision that they were saved with: "
                f"{self.precision}. Leave out `precision`. Received: {asked}"
            )

    def check_classes(self, classes: list[str]) -> None:
        """Check that the data have the classes of the network, in its order.

        Raises:
            ValueError: They have not.
        """
        count = self.model.output_shape[-1]
        if len(classes) == count and self.classes in (None, classes):
            return
        if len(classes) == count and self.classes is not None:
            wanted, received = ", ".join(self.classes), ", ".join(classes)
        else:
            wanted, received = f"{count} classes", f"{len(classes)} classes"
        raise ValueError(
            f"The data must have the classes of {self.file} in its order: {wanted}. Received: "
            f"{received}. For other classes, take a network by name and the layers that fit: "
            "--model NAME --weights FILE"
        )


def open_network(file: Path) -> SavedNetwork:
    """Open a classifier of colour images from a `.keras` file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not a classifier of colour images, or cannot be trained further.
    """
    saved = open_saved(file)
    if not has_graph(saved.model):
        raise ValueError(
            f"{file} must be a functional or sequential model. Received: a subclassed model, "
            f"{type(saved.model).__name__}. Build it as keras.Model(inputs, outputs), or train it "
            "in Python with ProxyAttention."
        )
    model = _with_logits(saved.model, file)
    if (measured := measured_activation(answers_to_noise(model))) is not None:
        raise ValueError(
            f"{file} returns probabilities ({measured}), computed where they cannot be taken back, "
            "such as in a Lambda layer or an average of networks. A classifier for training ends "
            "with logits or softmax. Save it as one."
        )
    unfreeze(model)
    precision = _precision(model, file)
    # Not saved with a model. It decides whether `compile` scales the loss.
    model.dtype_policy = precision
    return SavedNetwork(file, model, saved.classes, precision)


def _with_logits(model: keras.Model, file: Path) -> keras.Model:
    """Return the model without a softmax at its end. The model is changed or replaced."""
    output, is_nested = model.outputs[0], False
    while has_graph(operation_of(output)):
        output, is_nested = operation_of(output).outputs[0], True
    logits, activation = without_activation(output)
    if activation not in (None, "softmax", "log_softmax"):
        raise ValueError(
            "A classifier for training ends with logits or softmax: one class per image. "
            f"Received: {file}, which ends with {activation}. Replace its last layer."
        )
    if logits is output:
        return model
    if is_nested:
        raise ValueError(
            f"{file} ends with a separate {activation} inside the nested model that computes its "
            "output, where it cannot be removed. Save the model without it."
        )
    return keras.Model(model.inputs[0], logits, name=model.name)


def _precision(model: keras.Model, file: Path) -> str:
    """Return the dtype policy of the layers with weights; some may be float32 under any policy."""
    policies = {part.dtype_policy.name for part in model._flatten_layers() if part.weights}
    if is_mixed := policies - {"float32"}:
        if len(is_mixed) > 1 or not is_mixed <= set(_PRECISIONS):
            raise ValueError(
                f"The layers of {file} must have one dtype policy of {', '.join(_PRECISIONS)}. "
                f"Received: {', '.join(sorted(policies))}. Save the model in float32."
            )
        return is_mixed.pop()
    return "float32"
