"""Explanations of image files by any number of methods: overlays, sheets and predictions."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from proxy_keras import attribution
from proxy_keras.attribution import Explainer
from proxy_keras.explaining.input_images import InputImages, list_files, read_images
from proxy_keras.heatmaps.scaling import enlarge
from proxy_keras.io.any_text import allow_any_text
from proxy_keras.io.extras import MissingExtra, extra
from proxy_keras.io.names import canonical, printable
from proxy_keras.io.program_name import program_name
from proxy_keras.io.progress import progress_bar
from proxy_keras.io.quiet_start import add_verbose_option
from proxy_keras.io.saved_model import image_size, open_saved
from proxy_keras.settings import ProxyConfig
from proxy_keras.settings.options import add_options

ROWS_PER_SHEET = 12


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    parser = argparse.ArgumentParser(
        prog=program_name("proxy_keras.explain"),
        description="Heatmaps of where a model looks in images: an overlay for each image and "
        "method, and sheets that show the methods side by side.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="a run folder, or FILE.keras")
    parser.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGES", help="image files, or folders of them"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--method",
        default="grad_cam_plus_plus",
        metavar="M[,M...]",
        help=f"one or several of {', '.join(attribution.names())} (default: %(default)s)",
    )
    add_options(parser, ProxyConfig, "method_options")
    parser.add_argument(
        "--class", dest="class_name", metavar="NAME", help="explain this class, by name or number"
    )
    parser.add_argument(
        "--against",
        metavar="NAME",
        help="explain what favours the predicted class over this one",
    )
    add_options(parser, ProxyConfig, "target_layer", "engine")
    parser.set_defaults(engine="compiled")
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="P",
        help="side in pixels, for models that accept any size",
    )
    parser.add_argument(
        "--value-range",
        type=float,
        nargs=2,
        default=(0.0, 255.0),
        metavar=("LOW", "HIGH"),
        help="value range of the model's inputs (default: 0 255)",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="JSON: class names by class id, or Keras' class_indices",
    )
    parser.add_argument("--batch-size", type=int, default=32, metavar="B")
    parser.add_argument(
        "--alpha",
        type=float,
        default=0.6,
        metavar="X",
        help="opacity of the heatmap (default: 0.6)",
    )
    parser.add_argument("--save-maps", action="store_true", help="write heatmaps.npz too")
    parser.add_argument("--strict", action="store_true", help="fail if an image is unreadable")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    add_verbose_option(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 for success, 2 for bad arguments or data."""
    allow_any_text()
    args = build_parser().parse_args(arguments)
    try:
        explain_files(args)
    except (MissingExtra, ValueError, OSError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def explain_files(args: argparse.Namespace) -> None:
    """Explain images for parsed arguments and write the results; see `build_parser`.

    Raises:
        MissingExtra: A package of the extra `explain` is not installed.
        ValueError, OSError: The model, the images or an option cannot be used.
    """
    with extra("explain"):
        import matplotlib  # noqa: F401
    methods = list(dict.fromkeys(args.method.split(",")))
    options = _options(methods, args)
    if not 0.0 <= args.alpha <= 1.0:
        raise ValueError(f"`--alpha` must be in [0, 1]. Received: {args.alpha}")
    if args.batch_size < 1:
        raise ValueError(f"`--batch-size` must be >= 1. Received: {args.batch_size}")
    if args.out.exists() and any(args.out.iterdir()):
        raise ValueError(f"{args.out} is not empty. Pass a new or empty folder as --out.")
    saved = open_saved(args.model, args.labels)
    model, classes = saved.model, saved.classes
    explain, class_ids = _explained_class(args, classes, model.output_shape[-1])
    images = read_images(
        list_files(args.images),
        image_size(model, args.image_size),
        tuple(args.value_range),
        strict=args.strict,
        progress=not args.quiet,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    logits = np.zeros([0, 0], np.float32)
    maps: dict[str, NDArray[np.float32]] = {}
    for method in progress_bar(methods, desc="methods", shown=not args.quiet):
        explainer = Explainer(
            model,
            method,
            explain=explain,
            target_layer=args.target_layer if attribution.get(method).needs_layer else None,
            engine=args.engine,
            progress=not args.quiet,
            **options[method],
        )
        parts = [
            explainer.logits_and_heatmaps(
                images.inputs[start : start + args.batch_size],
                None if class_ids is None else np.full([size], class_ids),
            )
            for start, size in _batches(len(images.inputs), args.batch_size)
        ]
        logits = np.concatenate([part[0] for part in parts])
        maps[method] = np.concatenate([part[1] for part in parts])
    # Each method explains the same copy of the model.
    clone = explainer.clone
    if clone.is_measured:
        print(f"output of the model: {clone.output_description}", file=sys.stderr)
    probabilities = keras.ops.convert_to_numpy(clone.probabilities(logits))
    _write(args, images, maps, probabilities, classes)


def _options(methods: list[str], args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the options that each method has, out of those given and the value range."""
    options = args.method_options or {}
    accepted = {
        method: set(inspect.signature(attribution.get(method)).parameters) for method in methods
    }
    unknown = [key for key in options if not any(key in names for names in accepted.values())]
    if unknown:
        raise ValueError(
            f"None of the methods {', '.join(methods)} has an option {', '.join(unknown)}. "
            + "; ".join(f"{m}: {', '.join(sorted(accepted[m])) or 'no options'}" for m in methods)
        )
    options = {"value_range": tuple(args.value_range), **options}
    return {
        method: {key: value for key, value in options.items() if key in accepted[method]}
        for method in methods
    }


def _explained_class(
    args: argparse.Namespace, classes: list[str] | None, count: int
) -> tuple[str, int | None]:
    """Return what to explain, and the class id if one is needed."""
    if args.class_name is not None and args.against is not None:
        raise ValueError("Pass `--class` or `--against`, not both.")
    given = args.against if args.class_name is None else args.class_name
    name = None if given is None else canonical(given)
    if name is None:
        return "predicted", None
    explain = "contrast" if args.class_name is None else "true"
    if classes is not None and name in classes:
        return explain, classes.index(name)
    if name.isdigit() and int(name) < count:
        return explain, int(name)
    known = f"0 to {count - 1}" if classes is None else ", ".join(classes)
    raise ValueError(f"The model has no class {name!r}. Its classes: {known}")


def _batches(total: int, batch_size: int) -> list[tuple[int, int]]:
    """Return the (start, size) of each batch."""
    return [(s, min(batch_size, total - s)) for s in range(0, total, batch_size)]


def _write(
    args: argparse.Namespace,
    images: InputImages,
    maps: dict[str, NDArray[np.float32]],
    probabilities: NDArray[np.float32],
    classes: list[str] | None,
) -> None:
    """Write overlays, sheets and answers.json, and print the predictions."""
    from proxy_keras.io import figures

    predicted = probabilities.argmax(axis=1)
    names = classes or [f"class {number}" for number in range(probabilities.shape[1])]
    answers, overlays, titles = [], [], []
    for index, name in enumerate(images.names):
        image, best = images.originals[index], int(predicted[index])
        probability = float(probabilities[index, best])
        row, files, blank = [], {}, []
        for method, heatmaps in maps.items():
            heatmap = enlarge(heatmaps[index][np.newaxis], image.shape[:2]).numpy()[0]
            row.append(figures.overlay(image, heatmap, alpha=args.alpha))
            files[method] = f"{name}_{method}.png"
            Image.fromarray(row[-1]).save(args.out / files[method])
            if heatmap.max() == 0:
                blank.append(method)
        overlays.append(row)
        titles.append(f"{name}\n{names[best]} {probability:.0%}")
        answers.append(
            {
                "image": printable(images.paths[index]),
                "class": names[best],
                "class_id": best,
                "probability": probability,
                "overlays": files,
                "blank": blank,
            }
        )
        note = f" (blank: {', '.join(blank)})" if blank else ""
        print(f"{printable(images.paths[index])}: {names[best]} {probability:.1%}{note}")
    text = json.dumps(answers, indent=2, ensure_ascii=False) + "\n"
    (args.out / "answers.json").write_text(text, encoding="utf-8")
    if args.save_maps:
        arrays: dict[str, Any] = dict(maps)
        np.savez_compressed(args.out / "heatmaps.npz", **arrays)
    for number, (start, size) in enumerate(_batches(len(titles), ROWS_PER_SHEET), start=1):
        part = slice(start, start + size)
        rows = images.originals[part], overlays[part], titles[part]
        figures.method_sheet(*rows, list(maps)).savefig(args.out / f"sheet_{number:04d}.png")
    print(f"overlays, sheets and answers: {printable(args.out)}")
