"""Conversion of an exported graph to half precision or eight-bit integers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from export.convert import INPUT, Converted, quiet


@dataclass(frozen=True)
class QuantisationReport:
    """The accuracy before and after quantisation.

    Attributes:
        calibration_images: Number of training images used for the calibration.
        validation_images: Number of images used for the accuracy.
        accuracy_fp32: Before, in [0, 1].
        accuracy_int8: After, in [0, 1].
    """

    calibration_images: int
    validation_images: int
    accuracy_fp32: float
    accuracy_int8: float

    @property
    def drop(self) -> float:
        """Accuracy lost, in percentage points; negative where it rose."""
        return 100.0 * (self.accuracy_fp32 - self.accuracy_int8)

    def __str__(self) -> str:
        """Return the report as one line."""
        return (
            f"accuracy on {self.validation_images} validation images: int8 "
            f"{self.accuracy_int8:.2%}, fp32 {self.accuracy_fp32:.2%}; calibrated on "
            f"{self.calibration_images} training images"
        )


def to_fp16(converted: Converted) -> onnx.ModelProto:
    """Convert the model to half precision, except its inputs, outputs and head.

    Args:
        converted: A float32 model; not modified.
    """
    model, cut = converted.model, converted.cut
    parts = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(model))
    outputs = [output.name for output in model.graph.output]
    features = parts.extract_model([INPUT], cut)
    # Constants of both parts may have the same name, but now have different precisions.
    head = onnx.compose.add_prefix(
        parts.extract_model(cut, outputs),
        "head/",
        rename_edges=False,
        rename_inputs=False,
        rename_outputs=False,
        rename_value_infos=False,
    )
    with quiet("onnxruntime.transformers.float16"):
        half: onnx.ModelProto = convert_float_to_float16(features, keep_io_types=True)
    half.graph.node.extend(head.graph.node)
    half.graph.initializer.extend(head.graph.initializer)
    del half.graph.output[:]
    half.graph.output.extend(model.graph.output)
    # The converter appends its casts at the end.
    OnnxModel(half).topological_sort()
    onnx.checker.check_model(half, full_check=True)
    return half


def to_int8(converted: Converted, batches: Iterator[NDArray[np.uint8]]) -> onnx.ModelProto:
    """Quantise the model's weights and activations to eight bits, except its head.

    This is static quantisation (QuantizeLinear and DequantizeLinear): weights have a scale per
    output channel, and the ranges of activations are measured on the calibration images.

    Args:
        converted: A float32 model; not modified.
        batches: Batches of calibration images, [n, H, W, 3] uint8.

    Source: Jacob et al., Quantization and Training of Neural Networks for Efficient
        Integer-Arithmetic-Only Inference (CVPR 2018).
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        # Through a file, because the quantiser modifies a model that it is given.
        onnx.save(converted.model, path / "fp32.onnx")
        with quiet(None):
            quantization.quantize_static(
                path / "fp32.onnx",
                path / "int8.onnx",
                _Calibration(batches, _input_dtype(converted.model)),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                # It takes hardly any time, and logits and heatmaps would lose most there.
                nodes_to_exclude=converted.head,
            )
        quantised = onnx.load(path / "int8.onnx")
    onnx.checker.check_model(quantised, full_check=True)
    return quantised


def accuracy(
    model: onnx.ModelProto,
    batches: Iterator[tuple[NDArray[np.uint8], NDArray[np.int32]]],
) -> float:
    """Compute the accuracy of the model on labelled images, in [0, 1].

    Args:
        model: An exported model.
        batches: Images [n, H, W, 3] uint8 and class ids [n].
    """
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    correct = total = 0
    for images, labels in batches:
        (logits,) = session.run(["logits"], {INPUT: images.astype(_input_dtype(model))})
        correct += int((logits.argmax(axis=1) == labels).sum())
        total += len(labels)
    return correct / total


class _Calibration:
    """A source of calibration images for the quantiser."""

    def __init__(self, batches: Iterator[NDArray[np.uint8]], dtype: type[np.generic]) -> None:
        self._batches = batches
        self._dtype = dtype

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """Return the next batch by input name; None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch.astype(self._dtype)}


def _input_dtype(model: onnx.ModelProto) -> type[np.generic]:
    kind = model.graph.input[0].type.tensor_type.elem_type
    return np.uint8 if kind == onnx.TensorProto.UINT8 else np.float32
