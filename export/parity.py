"""Comparison of an ONNX file with Keras on real images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from export.convert import INPUT
from proxy_keras.graph import FlatClone

BATCH_SIZES = (1, 7)

Shares = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Shares of evidence on each cue, [N, cues], and on the ticked ones, [N]."""


@dataclass(frozen=True)
class Reference:
    """The outputs of Keras, for the comparison.

    Attributes:
        logits: [N, K] float32 of the float32 copy of the model.
        heatmaps: [N, h, w] float32 in [0, 1], with a gradient tape; None: no heatmap.
        outputs: [N, K] of the saved model itself, after its output activation.
        activation: The saved model's output activation, see `FlatClone`.
        is_float32: Whether the saved model computes in float32.
        cues: [N, cues] float32, the shares of evidence on cues, with a gradient tape; None: no
            cues.
        ticked_share: [N] float32, the share on the ticked ones; None: no cues.
    """

    logits: NDArray[np.float32]
    heatmaps: NDArray[np.float32] | None
    outputs: NDArray[np.float32]
    activation: str | None
    is_float32: bool
    cues: NDArray[np.float32] | None = None
    ticked_share: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Difference:
    """The difference of one output of the file from Keras.

    Attributes:
        output: The output, and what it is compared with.
        batch_size: Images per call.
        value: Largest absolute difference, divided by the largest magnitude in Keras' output; not
            divided for shares, which are in [0, 1].
        limit: Largest allowed value; None: not checked.
    """

    output: str
    batch_size: int
    value: float
    limit: float | None

    @property
    def is_within(self) -> bool:
        """Whether the difference is allowed; NaN is not."""
        return self.limit is None or self.value <= self.limit


@dataclass(frozen=True)
class ParityReport:
    """The result of a comparison.

    Attributes:
        images: Description of the images.
        differences: One for each output and batch size.
        same_class: Share of the images with the same predicted class, in [0, 1].
    """

    images: str
    differences: Sequence[Difference]
    same_class: float

    @property
    def is_passed(self) -> bool:
        """Whether all differences are allowed."""
        return all(difference.is_within for difference in self.differences)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "images": self.images,
            "passed": self.is_passed,
            "same_class": self.same_class,
            "differences": [asdict(difference) for difference in self.differences],
        }

    def __str__(self) -> str:
        """Return the report as lines of text."""
        lines = [f"compared with Keras on {self.images}; same class: {self.same_class:.0%}"]
        for item in self.differences:
            verdict = "" if item.limit is None else f"  (limit {item.limit:.0e})"
            if not item.is_within:
                verdict += "  EXCEEDED"
            lines.append(f"  batch {item.batch_size}: {item.output:34} {item.value:.1e}{verdict}")
        return "\n".join(lines)


def keras_reference(
    model: keras.Model,
    flat: FlatClone,
    images: NDArray[np.uint8],
    heatmaps: NDArray[np.float32] | None,
    shares: Shares | None = None,
) -> Reference:
    """Compute the reference for a comparison.

    Args:
        model: The saved model.
        flat: Its float32 copy.
        images: [N, H, W, 3] uint8.
        heatmaps: [N, h, w] float32, with a gradient tape.
        shares: The shares of evidence on cues, [N, cues] and on ticked cues, [N]; None: no cues.
    """
    values = images.astype(np.float32)
    dtypes = {layer.compute_dtype for layer in model._flatten_layers()}
    return Reference(
        logits=keras.ops.convert_to_numpy(flat.model(values, training=False)),
        heatmaps=heatmaps,
        outputs=keras.ops.convert_to_numpy(
            keras.ops.cast(model(values, training=False), "float32")
        ),
        activation=flat.activation,
        is_float32=dtypes == {"float32"},
        cues=None if shares is None else shares[0],
        ticked_share=None if shares is None else shares[1],
    )


def compare(
    file: Path,
    images: NDArray[np.uint8],
    reference: Reference,
    *,
    description: str,
    limit: float | None,
    heatmap_limit: float | None,
    share_limit: float | None = None,
) -> ParityReport:
    """Compare a file with Keras, at batch sizes 1 and 7.

    Args:
        file: The ONNX file.
        images: [N, H, W, 3] uint8, N >= 7.
        reference: The outputs of Keras for them.
        description: Description of the images for the report.
        limit: Largest relative difference of the logits; None: any.
        heatmap_limit: The same for heatmaps.
        share_limit: Largest difference of the shares of evidence on cues; None: any.
    """
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    dtype = np.uint8 if session.get_inputs()[0].type == "tensor(uint8)" else np.float32
    differences = []
    predicted = np.empty([0])
    for size in BATCH_SIZES:
        values = session.run(None, {INPUT: images[:size].astype(dtype)})
        outputs = dict(zip(names, values, strict=True))
        expected = {"logits": (reference.logits, limit)}
        if reference.heatmaps is not None:
            expected["heatmap"] = reference.heatmaps, heatmap_limit
        for name, (keras_values, bound) in expected.items():
            value = _relative(outputs[name], keras_values[:size])
            differences.append(Difference(f"{name}, float32 Keras", size, value, bound))
        for name in ("cues", "ticked_share"):
            if (shares := getattr(reference, name)) is not None:
                value = _largest(outputs[name], shares[:size])
                differences.append(Difference(f"{name}, float32 Keras", size, value, share_limit))
        activated = _activated(outputs, reference.activation)
        differences.append(
            Difference(
                "output of the saved model",
                size,
                _relative(activated, reference.outputs[:size]),
                limit if reference.is_float32 else None,
            )
        )
        predicted = outputs["logits"].argmax(axis=1)
    same = float(np.mean(predicted == reference.logits[: len(predicted)].argmax(axis=1)))
    return ParityReport(description, differences, same)


def _activated(
    outputs: dict[str, NDArray[np.float32]], activation: str | None
) -> NDArray[np.float32]:
    """Return the output of the saved model, given the outputs of the file."""
    if activation is None:
        return outputs["logits"]
    probabilities = outputs["probabilities"]
    return np.log(probabilities) if activation.startswith("log") else probabilities


def _relative(values: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    scale = max(float(np.abs(expected).max()), float(np.finfo(np.float32).tiny))
    return _largest(values, expected) / scale


def _largest(values: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Return the largest absolute difference."""
    if values.shape != expected.shape:
        raise ValueError(f"The file returns shape {values.shape}, Keras {expected.shape}.")
    return float(np.abs(values - expected).max())
