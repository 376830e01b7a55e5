"""Checks an ONNX file against Keras on real images, and says how far apart they are."""

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


@dataclass(frozen=True)
class Reference:
    """What Keras answers, for comparison.

    Attributes:
        logits: [N, K] float32 of the float32 copy of the model.
        heatmaps: [N, h, w] float32 in [0, 1] by a gradient tape; None: nothing is explained.
        answers: [N, K] of the model itself, as it was saved: logits, or what it makes of them.
        activation: What the model itself makes of logits, see `FlatClone`.
        is_float32: Whether the model itself computes in float32.
    """

    logits: NDArray[np.float32]
    heatmaps: NDArray[np.float32] | None
    answers: NDArray[np.float32]
    activation: str | None
    is_float32: bool


@dataclass(frozen=True)
class Difference:
    """How far one output of the file is from Keras.

    Attributes:
        output: Which output, and against what.
        batch_size: Images per call.
        value: Largest absolute difference, divided by the largest magnitude of what Keras says.
        limit: What is allowed; None: for information.
    """

    output: str
    batch_size: int
    value: float
    limit: float | None

    @property
    def is_within(self) -> bool:
        """Whether the difference is allowed; one that is no number is not."""
        return self.limit is None or self.value <= self.limit


@dataclass(frozen=True)
class ParityReport:
    """The outcome of a check.

    Attributes:
        images: What images were used, in words.
        differences: One for each output and batch size.
        same_class: Share of the images that both put into the same class, in [0, 1].
    """

    images: str
    differences: Sequence[Difference]
    same_class: float

    @property
    def is_passed(self) -> bool:
        """Whether all differences are allowed."""
        return all(difference.is_within for difference in self.differences)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "images": self.images,
            "passed": self.is_passed,
            "same_class": self.same_class,
            "differences": [asdict(difference) for difference in self.differences],
        }

    def __str__(self) -> str:
        """The report in lines, for the screen."""
        lines = [f"compared with Keras on {self.images}; same class: {self.same_class:.0%}"]
        for item in self.differences:
            verdict = "" if item.limit is None else f"  (limit {item.limit:.0e})"
            if not item.is_within:
                verdict += "  TOO FAR"
            lines.append(f"  batch {item.batch_size}: {item.output:34} {item.value:.1e}{verdict}")
        return "\n".join(lines)


def answer_by_keras(
    model: keras.Model,
    flat: FlatClone,
    images: NDArray[np.uint8],
    heatmaps: NDArray[np.float32] | None,
) -> Reference:
    """The reference for a check.

    Args:
        model: The model as it was saved.
        flat: Its float32 copy.
        images: [N, H, W, 3] uint8.
        heatmaps: [N, h, w] float32, made with a gradient tape.
    """
    values = images.astype(np.float32)
    dtypes = {layer.compute_dtype for layer in model._flatten_layers()}
    return Reference(
        logits=keras.ops.convert_to_numpy(flat.model(values, training=False)),
        heatmaps=heatmaps,
        answers=keras.ops.convert_to_numpy(
            keras.ops.cast(model(values, training=False), "float32")
        ),
        activation=flat.activation,
        is_float32=dtypes == {"float32"},
    )


def compare(
    file: Path,
    images: NDArray[np.uint8],
    reference: Reference,
    *,
    what: str,
    limit: float | None,
    heatmap_limit: float | None,
) -> ParityReport:
    """How far a file is from Keras, at batches of 1 and of 7.

    Args:
        file: The ONNX file.
        images: [N, H, W, 3] uint8, N >= 7.
        reference: What Keras says of them.
        what: The images, in words.
        limit: Largest relative difference of the logits; None: any.
        heatmap_limit: The same for heatmaps.
    """
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    dtype = np.uint8 if session.get_inputs()[0].type == "tensor(uint8)" else np.float32
    differences = []
    predicted = np.empty([0])
    for size in BATCH_SIZES:
        outputs = session.run(None, {INPUT: images[:size].astype(dtype)})
        answers = dict(zip(names, outputs, strict=True))
        expected = {"logits": (reference.logits, limit)}
        if reference.heatmaps is not None:
            expected["heatmap"] = reference.heatmaps, heatmap_limit
        for name, (values, bound) in expected.items():
            value = _relative(answers[name], values[:size])
            differences.append(Difference(f"{name}, float32 Keras", size, value, bound))
        own = _as_answered(answers, reference.activation)
        differences.append(
            Difference(
                "answer, the model as saved",
                size,
                _relative(own, reference.answers[:size]),
                limit if reference.is_float32 else None,
            )
        )
        predicted = answers["logits"].argmax(axis=1)
    same = float(np.mean(predicted == reference.logits[: len(predicted)].argmax(axis=1)))
    return ParityReport(what, differences, same)


def _as_answered(
    answers: dict[str, NDArray[np.float32]], activation: str | None
) -> NDArray[np.float32]:
    """What the model itself would have answered."""
    if activation is None:
        return answers["logits"]
    probabilities = answers["probabilities"]
    return np.log(probabilities) if activation.startswith("log") else probabilities


def _relative(values: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    if values.shape != expected.shape:
        raise ValueError(f"The file answers shape {values.shape}, Keras {expected.shape}.")
    scale = max(float(np.abs(expected).max()), np.finfo(np.float32).tiny)
    return float(np.abs(values - expected).max() / scale)
