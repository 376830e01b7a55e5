"""The command `python -m export`: exports a run folder or a `.keras` file to ONNX."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proxy_keras.io.any_text import allow_any_text
from proxy_keras.io.extras import command_extra
from proxy_keras.io.output_target import descriptor_of
from proxy_keras.io.program_name import program_name
from proxy_keras.io.quiet_start import add_verbose_option, start_quietly
from proxy_keras.settings import DataConfig
from proxy_keras.settings.options import add_options

if __name__ == "__main__":
    start_quietly()

with command_extra("export", __name__):
    from export.exporter import LIMITS, check_options, export_model, report_of
    from export.heatmap import METHODS, NONE
    from export.held_out import image_paths, write_images
    from export.kserve import STORAGE_URI, check_storage_uri, write_inference_service
    from export.source import open_source
    from export.triton import check_labels, deployed_name, write_model_repository
    from proxy_keras.cues import Cues
    from proxy_keras.cues.cue_folder import CUES_FILE
    from proxy_keras.io.saved_model import MODEL_FILE


def build_parser() -> argparse.ArgumentParser:
    """Return the command-line parser."""
    parser = argparse.ArgumentParser(
        prog=program_name("export"),
        description="Export a trained classifier to an ONNX file that takes images in [0, 255] and "
        "returns class scores and the heatmap of the predicted class.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run folder, or FILE.keras")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.onnx")
    parser.add_argument(
        "--explain",
        choices=(*METHODS, NONE),
        default="grad_cam",
        help="attribution method of the heatmap (default: %(default)s)",
    )
    parser.add_argument("--target-layer", metavar="NAME", help="layer to explain (default: auto)")
    parser.add_argument(
        "--precision",
        choices=tuple(LIMITS),
        default="fp32",
        help="fp16: half precision, for GPUs; int8: quantised, for CPUs, calibrated on training "
        "images (default: %(default)s)",
    )
    parser.add_argument(
        "--max-drop",
        type=float,
        default=0.5,
        metavar="POINTS",
        help="largest drop of validation accuracy allowed for int8 (default: 0.5)",
    )
    parser.add_argument(
        "--calibration-images", type=int, default=256, metavar="N", help="for int8 (default: 256)"
    )
    parser.add_argument(
        "--input-type",
        choices=("uint8", "float32"),
        default="uint8",
        help="data type of the input images (default: uint8)",
    )
    parser.add_argument(
        "--images",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="image files for the comparison with Keras (default: validation images of the run, or "
        "scikit-learn's sample photographs)",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        metavar="X",
        help="largest relative difference from Keras (default: 1e-5; fp16: 2e-2)",
    )
    parser.add_argument(
        "--name",
        metavar="NAME",
        help="name of the model in the file, for Triton and for KServe (default: the network's in "
        "the file, else that of FILE.onnx)",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="JSON: class names by class id, or Keras' class_indices",
    )
    parser.add_argument(
        "--data", metavar="SRC", help="data for a FILE.keras: digits, ROOT, npz:FILE, ..."
    )
    add_options(parser, DataConfig, "index")
    parser.add_argument(
        "--image-size", type=int, metavar="P", help="side in pixels, for models that take any size"
    )
    parser.add_argument(
        "--cues",
        type=Path,
        metavar="DIR",
        help="return the share of each image's evidence on the cues of this folder, found in MODEL "
        "(default: MODEL/cues, if something in it is ticked)",
    )
    parser.add_argument("--no-cues", action="store_true", help="leave the cues out")
    parser.add_argument(
        "--held-out",
        type=Path,
        metavar="DIR",
        help="write the test images to DIR/CLASS/*.png, for serve.predict",
    )
    parser.add_argument(
        "--triton", type=Path, metavar="DIR", help="add the file to a Triton model repository"
    )
    parser.add_argument(
        "--kserve", type=Path, metavar="FILE.yaml", help="write a KServe InferenceService"
    )
    parser.add_argument(
        "--storage-uri",
        metavar="URI",
        help=f"with --kserve: URI of the model repository (default: {STORAGE_URI})",
    )
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    add_verbose_option(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 success, 2 bad arguments, model or data."""
    allow_any_text()
    given = build_parser().parse_args(arguments)
    try:
        run(given)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def run(given: argparse.Namespace) -> None:
    """Run an export with the parsed arguments; see `build_parser`.

    Raises:
        ValueError, OSError: The model, its data or an option cannot be used.
        FloatingPointError: The model computes NaN or infinity.
    """
    if given.out.suffix != ".onnx":
        raise ValueError(f"--out must end in .onnx. Received: {given.out}")
    _check_paths(given)
    storage_uri = _storage_uri(given)
    options: dict[str, Any] = {
        "explain": given.explain,
        "precision": given.precision,
        "target_layer": given.target_layer,
        "tolerance": given.tolerance,
        "max_drop": given.max_drop,
        "calibration_images": given.calibration_images,
    }
    # Before opening the model and its data, which can take minutes.
    check_options(**options)
    if given.no_cues and given.cues is not None:
        raise ValueError("--cues and --no-cues exclude each other. Pass one of them.")
    source = open_source(
        given.model,
        name=given.name,
        labels=given.labels,
        image_size=given.image_size,
        data=given.data,
        needs_data=given.precision == "int8" or not given.images or given.held_out is not None,
        progress=not given.quiet,
        index=given.index,
    )
    if given.triton is not None:
        # Before the work, which can take minutes.
        check_labels(given.triton, deployed_name(given.out, given.name), source.classes)
    held_out = None
    if given.held_out is not None:
        held_out = source.data_for("--held-out writes test images.").test
        # Check the folder before the work.
        image_paths(held_out, given.held_out)
    exported = export_model(
        source,
        given.out,
        input_dtype=given.input_type,
        images=given.images,
        cues=None if given.no_cues else _cues(given),
        progress=not given.quiet,
        **options,
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
        version = write_model_repository(exported.file, given.triton, name=given.name)
        lines.append(f"Triton: {version}")
    if given.kserve is not None:
        write_inference_service(
            exported.file, given.kserve, storage_uri=storage_uri, name=given.name
        )
        lines.append(f"KServe: {given.kserve}")
    if not given.quiet:
        # The manifest may be written to the standard output itself.
        is_output = given.kserve is not None and descriptor_of(given.kserve) == 1
        print("\n".join(lines), file=sys.stderr if is_output else sys.stdout)


def _check_paths(given: argparse.Namespace) -> None:
    """Raise an error if an output would overwrite an input or another output."""
    inputs = [("MODEL", given.model), ("MODEL", given.model / "model.keras")]
    inputs += [("--labels", given.labels)] if given.labels is not None else []
    inputs += [("--images", path) for path in given.images]
    outputs = [("--out", given.out), ("the report of --out", report_of(given.out))]
    outputs += [("--kserve", given.kserve)] if given.kserve is not None else []
    taken = {os.path.realpath(path): option for option, path in inputs}
    for option, path in outputs:
        if path.is_dir():
            raise IsADirectoryError(f"{option} must be a file. Received a folder: {path}")
        other = taken.setdefault(os.path.realpath(path), option)
        if other != option:
            raise ValueError(
                f"Each input and output must be a different file. Received: {path} as {option} and "
                f"as {other}. Choose another name."
            )
    if given.triton is not None:
        if given.triton.exists() and not given.triton.is_dir():
            raise NotADirectoryError(f"--triton must be a folder. Received a file: {given.triton}")
        outputs.append(("--triton", given.triton))
    if given.held_out is not None:
        folder = os.path.realpath(given.held_out)
        for option, path in outputs:
            if Path(os.path.realpath(path)).is_relative_to(folder):
                raise ValueError(
                    f"--held-out must be a folder for images only. Received: {option} inside it, "
                    f"{path}. Choose another location."
                )


def _cues(given: argparse.Namespace) -> Cues | None:
    """Return the given cues, or those of the run if something is ticked in them."""
    if given.cues is not None:
        return Cues.load(given.cues)
    run = given.model if given.model.is_dir() else given.model.parent
    is_run = given.model.is_dir() or given.model.name == MODEL_FILE
    if not is_run or not (run / "cues" / CUES_FILE).is_file():
        return None
    cues = Cues.load(run / "cues")
    return cues if cues.ticked_clusters.any() else None


def _storage_uri(given: argparse.Namespace) -> str:
    if given.storage_uri is None:
        return STORAGE_URI
    if given.kserve is None:
        raise ValueError(
            f"--storage-uri needs --kserve FILE.yaml. Pass both or neither. Received: "
            f"{given.storage_uri!r}"
        )
    check_storage_uri(given.storage_uri)
    return str(given.storage_uri)


if __name__ == "__main__":
    sys.exit(main())
