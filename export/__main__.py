"""`python -m export`: a run folder or a `.keras` file becomes one ONNX file."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from export.exporter import LIMITS, export_model
from export.heatmap import METHODS, NONE
from export.held_out import write_images
from export.kserve import STORAGE_URI, write_inference_service
from export.source import open_source
from export.triton import write_model_repository


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m export",
        description="Writes a trained classifier as one ONNX file that takes images in [0, 255] "
        "and answers with classes and the heatmap of the predicted one.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run folder, or FILE.keras")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.onnx")
    parser.add_argument(
        "--explain",
        choices=(*METHODS, NONE),
        default="grad_cam",
        help="how the heatmap is made (default: %(default)s)",
    )
    parser.add_argument("--target-layer", metavar="NAME", help="layer to explain (default: found)")
    parser.add_argument(
        "--precision",
        choices=tuple(LIMITS),
        default="fp32",
        help="fp16: half precision, for GPUs; int8: eight-bit integers, for CPUs, calibrated on "
        "training images (default: %(default)s)",
    )
    parser.add_argument(
        "--max-drop",
        type=float,
        default=0.5,
        metavar="POINTS",
        help="refuse int8 that loses more of the validation accuracy (default: 0.5)",
    )
    parser.add_argument(
        "--calibration-images", type=int, default=256, metavar="N", help="for int8 (default: 256)"
    )
    parser.add_argument(
        "--input-type",
        choices=("uint8", "float32"),
        default="uint8",
        help="of the images that the file takes (default: uint8)",
    )
    parser.add_argument(
        "--images",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="image files to check the file on (default: validation images of the run, or "
        "photographs that scikit-learn brings along)",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        metavar="X",
        help="largest relative difference from Keras (default: 1e-5; fp16: 2e-2)",
    )
    parser.add_argument("--name", metavar="NAME", help="name of the model in the file")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="JSON: class names by class id")
    parser.add_argument(
        "--data", metavar="SRC", help="data of a FILE.keras: digits, ROOT, npz:FILE, ..."
    )
    parser.add_argument(
        "--image-size", type=int, metavar="P", help="side in pixels, for models that take any"
    )
    parser.add_argument(
        "--held-out",
        type=Path,
        metavar="DIR",
        help="write the test images as DIR/CLASS/*.png, for serve.predict",
    )
    parser.add_argument(
        "--triton", type=Path, metavar="DIR", help="add the file to a Triton model repository"
    )
    parser.add_argument(
        "--kserve", type=Path, metavar="FILE.yaml", help="write a KServe InferenceService"
    )
    parser.add_argument(
        "--storage-uri",
        default=STORAGE_URI,
        metavar="URI",
        help="where KServe finds the model repository (default: %(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command, and returns its exit code: 0 done, 2 bad arguments, model or data."""
    given = build_parser().parse_args(arguments)
    try:
        run(given)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def run(given: argparse.Namespace) -> None:
    """Does what the parsed arguments ask for; see `build_parser`.

    Raises:
        ValueError, OSError: The model, its data or an option cannot be used.
        FloatingPointError: The model computes values that are not finite.
    """
    if given.out.suffix != ".onnx":
        raise ValueError(f"--out must end in .onnx. Received: {given.out}")
    source = open_source(
        given.model,
        name=given.name,
        labels=given.labels,
        image_size=given.image_size,
        data=given.data,
        needs_data=given.precision == "int8" or not given.images or given.held_out is not None,
        progress=not given.quiet,
    )
    held_out = None
    if given.held_out is not None:
        held_out = source.data_for("--held-out writes test images.").test
    exported = export_model(
        source,
        given.out,
        explain=given.explain,
        precision=given.precision,
        target_layer=given.target_layer,
        input_dtype=given.input_type,
        images=given.images,
        tolerance=given.tolerance,
        max_drop=given.max_drop,
        calibration_images=given.calibration_images,
    )
    lines = [str(exported.parity)]
    if exported.quantisation is not None:
        lines.append(str(exported.quantisation))
    size = os.path.getsize(exported.file) / 1e6
    lines.append(f"written: {exported.file} ({size:.1f} MB), {exported.report}")
    if held_out is not None:
        count = write_images(held_out, given.held_out)
        lines.append(f"held-out images: {count} in {given.held_out}")
    if given.triton is not None:
        lines.append(f"Triton: {write_model_repository(exported.file, given.triton)}")
    if given.kserve is not None:
        write_inference_service(exported.file, given.kserve, storage_uri=given.storage_uri)
        lines.append(f"KServe: {given.kserve}")
    if not given.quiet:
        print("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
