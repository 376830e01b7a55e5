"""The export of a trained model to a verified ONNX file."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
from numpy.typing import NDArray

from export.convert import Converted, to_onnx
from export.cue_shares import CueShares, check_found_in
from export.heatmap import METHODS, NONE, Explained
from export.metadata import describe
from export.parity import ParityReport, compare, keras_reference
from export.reduced_precision import QuantisationReport, accuracy, to_fp16, to_int8
from export.resizing import convertible_resizing
from export.source import Source, real_images
from proxy_keras.attribution import Explainer
from proxy_keras.attribution.target_layer import expose_target
from proxy_keras.cues import Cues
from proxy_keras.data import ImageData
from proxy_keras.data.data_split import DataSplit
from proxy_keras.graph import FlatClone
from proxy_keras.io.atomic_files import write_atomically, write_text_atomically
from proxy_keras.io.progress import progress_bar

LIMITS: dict[str, tuple[float | None, float | None, float | None]] = {
    "fp32": (1e-5, 1e-4, 1e-5),
    "fp16": (2e-2, 5e-2, None),
    "int8": (None, None, None),
}
"""Largest differences of logits, of heatmaps and of shares of evidence from Keras.

Heatmaps may differ more, because scaling by their own range amplifies rounding in flat maps. In
fp16 and int8, shares are compared but not limited: cells halfway between two cues go to either.
Int8 is checked by accuracy.
"""

_BATCH = 32


@dataclass(frozen=True)
class Exported:
    """An exported file.

    Attributes:
        file: The ONNX file.
        report: The JSON report next to it.
        parity: The differences from Keras.
        quantisation: The accuracy of int8; None for other precisions.
    """

    file: Path
    report: Path
    parity: ParityReport
    quantisation: QuantisationReport | None


def export_model(
    source: Source,
    file: str | os.PathLike[str],
    *,
    explain: str = "grad_cam",
    precision: str = "fp32",
    target_layer: str | None = None,
    input_dtype: str = "uint8",
    images: Sequence[str | os.PathLike[str]] = (),
    tolerance: float | None = None,
    max_drop: float = 0.5,
    calibration_images: int = 256,
    cues: Cues | None = None,
    progress: bool = False,
) -> Exported:
    """Export a model to one ONNX file that returns class scores and a heatmap.

    Args:
        source: The model with its metadata. Int8 needs its data.
        file: The ONNX file to write; its folder is created.
        explain: A name of `METHODS`, or "none".
        precision: "fp32", "fp16" or "int8".
        target_layer: Name of the layer to explain; None: found automatically.
        input_dtype: "uint8" or "float32", the type of the images.
        images: Image files for the comparison with Keras; empty: see `real_images`.
        tolerance: Largest relative difference from Keras, in [0, inf); None: that of `LIMITS`.
        max_drop: Largest drop of validation accuracy for int8, in percentage points, in [0, inf).
        calibration_images: Number of training images for the calibration of int8.
        cues: Cues found in this model, at least one of them ticked: the file also returns the share
            of each image's evidence on each of them; None: it does not.
        progress: Show a progress bar.

    Raises:
        ValueError: An argument is invalid; the cues are those of another model; the model cannot
            be exported, or not with this heatmap or these cues; or the file differs too much from
            Keras. No file is written then.
    """
    check_options(
        explain=explain,
        precision=precision,
        target_layer=target_layer,
        tolerance=tolerance,
        max_drop=max_drop,
        calibration_images=calibration_images,
    )
    if cues is not None:
        check_found_in(cues, source.model, source.path)
    data = None
    if precision == "int8":
        data = source.data_for("int8 is calibrated on training and checked on validation images.")
    with progress_bar(shown=progress, total=4, unit="step", leave=False) as bar:
        bar.set_description("reading images")
        pictures, description = real_images(source, images)
        _advance(bar, "converting")
        model = _of_fixed_size(source.model, source.image_size)
        flat = FlatClone(model, inline_blocks=True)
        target, layer = (None, None) if explain == NONE else expose_target(flat, target_layer)
        shares = None
        if cues is not None:
            layer, cue_layer = _expose_another(flat, target, layer, cues.target_layer)
            shares = CueShares(flat, cue_layer, cues)
        explained = Explained(flat, layer, explain, shares)
        shape, weights = (*source.image_size, 3), flat.model.variables
        with convertible_resizing(flat):
            converted = to_onnx(explained, weights, shape, input_dtype)
        _advance(bar, f"making {precision}")
        exported, quantisation = converted.model, None
        if precision == "fp16":
            exported = to_fp16(converted)
        elif data is not None:
            exported, quantisation = _quantised(converted, data, max_drop, calibration_images)
        _advance(bar, "comparing with Keras")
        heatmaps = None
        if explain != NONE:
            explainer = Explainer(model, explain, target_layer=target_layer)
            heatmaps = explainer.heatmaps(pictures)
        expected = None
        if cues is not None and shares is not None:
            names = [cue.name for cue in shares.cues]
            expected = cues.shares(pictures, names), cues.ticked_share(pictures)
        parity = _compared(
            exported,
            pictures,
            description,
            keras_reference(model, flat, pictures, heatmaps, expected),
            LIMITS[precision] if tolerance is None else (tolerance, tolerance, tolerance),
        )
    if not parity.is_passed:
        raise ValueError(
            f"The exported model differs from Keras by more than the limit. No file was written.\n"
            f"{parity}\nPossible causes: layers with huge activations; a nearly flat heatmap, "
            "whose scaling amplifies rounding; or a cell halfway between two cues. To allow a "
            "larger difference: --tolerance X"
        )
    details: dict[str, Any] = parity.to_dict()
    if quantisation is not None:
        details["quantisation"] = asdict(quantisation)
    describe(
        exported,
        source,
        explain=explain,
        target_layer=target,
        precision=precision,
        parity=details,
        cues=() if shares is None else shares.cues,
    )
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    report = report_of(file)
    write_text_atomically(report, json.dumps(details, indent=2) + "\n")
    write_atomically(file, lambda path: onnx.save(exported, path))
    return Exported(file, report, parity, quantisation)


def _advance(bar: Any, description: str) -> None:
    bar.update()
    bar.set_description(description)


def report_of(file: Path) -> Path:
    """Return the path of an exported file's report, next to it."""
    return file.with_suffix(".report.json")


def check_options(
    *,
    explain: str,
    precision: str,
    target_layer: str | None,
    tolerance: float | None,
    max_drop: float,
    calibration_images: int,
) -> None:
    """Check options without opening the model; see `export_model`.

    Raises:
        ValueError: An option is invalid.
    """
    if explain not in (*METHODS, NONE):
        raise ValueError(
            f"`explain` must be one of {', '.join((*METHODS, NONE))}. Received: {explain!r}"
        )
    if precision not in LIMITS:
        raise ValueError(f"`precision` must be one of {', '.join(LIMITS)}. Received: {precision!r}")
    if explain == NONE and target_layer is not None:
        raise ValueError("explain='none' uses no target layer. Leave the target layer out.")
    for name, limit in (("tolerance", tolerance), ("max_drop", max_drop)):
        # NaN would pass every comparison, or none.
        if limit is not None and not 0.0 <= limit < math.inf:
            raise ValueError(f"`{name}` must be finite and >= 0. Received: {limit}")
    if calibration_images < 1:
        raise ValueError(f"`calibration_images` must be >= 1. Received: {calibration_images}")


def _expose_another(
    flat: FlatClone, target: str | None, layer: keras.KerasTensor | None, other: str
) -> tuple[keras.KerasTensor | None, keras.KerasTensor]:
    """Return the outputs of the target layer, which is exposed already, and of another layer.

    Args:
        flat: The classifier.
        target: Name of the target layer; None: there is none.
        layer: Its output as `expose_target` returned it.
        other: Name of the other layer; may be the same.
    """
    if target is None or layer is None:
        return None, expose_target(flat, other)[1]
    if flat.tensor(other) is flat.tensor(target):
        return layer, layer
    first = flat.name_of(layer)
    second = expose_target(flat, other)[1]
    # Exposing tokens as a grid rewires the graph, which makes new tensors after them.
    return flat.tensor(first), second


def _of_fixed_size(model: keras.Model, size: tuple[int, int]) -> keras.Model:
    """Fix the input size of a model that takes any size."""
    if None not in model.input_shape[1:]:
        return model
    images = keras.Input((*size, 3), name="images")
    return keras.Model(images, model(images), name=model.name)


def _quantised(
    converted: Converted, data: ImageData, max_drop: float, calibration_images: int
) -> tuple[onnx.ModelProto, QuantisationReport]:
    train, val = data.train, data.val
    # Evenly spaced, because the split is ordered by class.
    count = min(calibration_images, len(train))
    chosen = np.unique(np.linspace(0, len(train) - 1, count).round().astype(np.int64))
    small = to_int8(converted, (images for images, _ in _batches(train, chosen)))
    report = QuantisationReport(
        calibration_images=len(chosen),
        validation_images=len(val),
        accuracy_fp32=accuracy(converted.model, _batches(val)),
        accuracy_int8=accuracy(small, _batches(val)),
    )
    if report.drop > max_drop:
        raise ValueError(
            f"{report}. The drop of {report.drop:.2f} points exceeds the limit of {max_drop:g}. No "
            "file was written. Use --precision fp32 or fp16, or a larger --max-drop POINTS"
        )
    return small, report


def _batches(
    split: DataSplit, positions: NDArray[np.int64] | None = None
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int32]]]:
    for _, images, labels in split.originals(_BATCH, positions).as_numpy_iterator():
        yield images.astype(np.uint8), labels


def _compared(
    model: onnx.ModelProto,
    images: NDArray[np.uint8],
    description: str,
    reference: Any,
    limits: tuple[float | None, float | None, float | None],
) -> ParityReport:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        onnx.save(model, file)
        limit, heatmap_limit, share_limit = limits
        return compare(
            file,
            images,
            reference,
            description=description,
            limit=limit,
            heatmap_limit=heatmap_limit,
            share_limit=share_limit,
        )
