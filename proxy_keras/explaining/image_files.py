"""Explains image files by any number of methods: overlays, a sheet beside each other, answers."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm.auto import tqdm

from proxy_keras import attribution
from proxy_keras.attribution import Explainer
from proxy_keras.data.images import UnreadableImageError, read_image, resize
from proxy_keras.heatmaps.scaling import enlarge
from proxy_keras.io import figures
from proxy_keras.io.saved_model import image_size, open_saved
from proxy_keras.settings import ProxyConfig
from proxy_keras.settings.options import add_options

ROWS_PER_SHEET = 12


@dataclass(frozen=True)
class Pictures:
    """The images to explain.

    Attributes:
        names: A unique name for each, for files.
        paths: Where each was read.
        originals: [H, W, 3] uint8 each.
        inputs: [n, P, Q, 3] float32, as the model takes them.
    """

    names: list[str]
    paths: list[Path]
    originals: list[NDArray[np.uint8]]
    inputs: NDArray[np.float32]


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m proxy_keras.explain",
        description="Heatmaps of where a model looks in images: a PNG over each image for each "
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
        help="explain what speaks for the predicted class and against this one",
    )
    add_options(parser, ProxyConfig, "target_layer", "engine")
    parser.set_defaults(engine="compiled")
    parser.add_argument(
        "--image-size", type=int, metavar="P", help="side in pixels, for models that take any"
    )
    parser.add_argument(
        "--value-range",
        type=float,
        nargs=2,
        default=(0.0, 255.0),
        metavar=("LOW", "HIGH"),
        help="of images as the model takes them (default: 0 255)",
    )
    parser.add_argument("--labels", type=Path, metavar="FILE", help="JSON: class names by class id")
    parser.add_argument("--batch-size", type=int, default=32, metavar="B")
    parser.add_argument(
        "--alpha", type=float, default=0.6, metavar="X", help="opacity of the heat (default: 0.6)"
    )
    parser.add_argument("--save-maps", action="store_true", help="write heatmaps.npz too")
    parser.add_argument("--strict", action="store_true", help="unreadable images are an error")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command, and returns its exit code: 0 done, 2 bad arguments or data."""
    given = build_parser().parse_args(arguments)
    try:
        explain_files(given)
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def explain_files(given: argparse.Namespace) -> None:
    """Does what the parsed arguments ask for; see `build_parser`.

    Raises:
        ValueError, OSError: The model, the images or an option cannot be used; the message says
            what to do.
    """
    methods = list(dict.fromkeys(given.method.split(",")))
    options = _options(methods, given)
    if not 0.0 <= given.alpha <= 1.0:
        raise ValueError(f"`--alpha` must be in [0, 1]. Received: {given.alpha}")
    if given.batch_size < 1:
        raise ValueError(f"`--batch-size` must be >= 1. Received: {given.batch_size}")
    if given.out.exists() and any(given.out.iterdir()):
        raise ValueError(f"{given.out} is not empty. Give a new or empty folder as --out.")
    saved = open_saved(given.model, given.labels)
    model, classes = saved.model, saved.classes
    explain, class_ids = _explained(given, classes, model.output_shape[-1])
    pictures = _read(_found(given.images), image_size(model, given.image_size), given)
    given.out.mkdir(parents=True, exist_ok=True)
    logits = np.zeros([0, 0], np.float32)
    maps: dict[str, NDArray[np.float32]] = {}
    for method in tqdm(methods, desc="methods", disable=given.quiet):
        explainer = Explainer(
            model,
            method,
            explain=explain,
            target_layer=given.target_layer if attribution.get(method).needs_layer else None,
            engine=given.engine,
            progress=not given.quiet,
            **options[method],
        )
        parts = [
            explainer.logits_and_heatmaps(
                pictures.inputs[start : start + given.batch_size],
                None if class_ids is None else np.full([size], class_ids),
            )
            for start, size in _batches(len(pictures.inputs), given.batch_size)
        ]
        logits = np.concatenate([part[0] for part in parts])
        maps[method] = np.concatenate([part[1] for part in parts])
    _write(given, pictures, maps, logits, classes)


def _options(methods: list[str], given: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The options of each method: those given that it has, and the range of images."""
    asked = given.method_options or {}
    known = {
        method: set(inspect.signature(attribution.get(method)).parameters) for method in methods
    }
    unknown = [key for key in asked if not any(key in names for names in known.values())]
    if unknown:
        raise ValueError(
            f"None of the methods {', '.join(methods)} has an option {', '.join(unknown)}. "
            + "; ".join(f"{m}: {', '.join(sorted(known[m])) or 'no options'}" for m in methods)
        )
    asked = {"value_range": tuple(given.value_range), **asked}
    return {
        method: {key: value for key, value in asked.items() if key in known[method]}
        for method in methods
    }


def _explained(
    given: argparse.Namespace, classes: list[str] | None, count: int
) -> tuple[str, int | None]:
    """What to explain, and the class id that it needs."""
    if given.class_name is not None and given.against is not None:
        raise ValueError("Give `--class` or `--against`, not both.")
    name = given.against if given.class_name is None else given.class_name
    if name is None:
        return "predicted", None
    explain = "contrast" if given.class_name is None else "true"
    if classes is not None and name in classes:
        return explain, classes.index(name)
    if name.isdigit() and int(name) < count:
        return explain, int(name)
    known = f"0 to {count - 1}" if classes is None else ", ".join(classes)
    raise ValueError(f"The model knows no class {name!r}. Its classes: {known}")


def _found(given: Iterable[Path]) -> list[Path]:
    """The files given, and those in the folders given, in order."""
    files: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = [file for file in path.rglob("*") if not file.name.startswith(".")]
            files += sorted(file for file in inside if file.is_file())
        elif path.is_file():
            files.append(path)
        else:
            raise FileNotFoundError(f"{path} does not exist. Give image files, or folders of them.")
    return list(dict.fromkeys(files))


def _read(files: list[Path], shape: tuple[int, int], given: argparse.Namespace) -> Pictures:
    """The readable ones among the files; says which were not."""
    low, high = given.value_range
    if not low < high:
        raise ValueError(f"`--value-range` must rise. Received: {low} {high}")
    originals, inputs, paths, skipped = [], [], [], []
    for file in tqdm(files, desc="reading", disable=given.quiet):
        try:
            originals.append(read_image(file))
            # As images are read in training, which is not at full size.
            inputs.append(resize(read_image(file, at_least=2 * max(shape)), shape))
            paths.append(file)
        except UnreadableImageError as error:
            skipped.append(f"{file}: {error.reason}")
    if skipped and given.strict:
        raise ValueError(f"{len(skipped)} files are no usable images: {'; '.join(skipped)}")
    for line in skipped:
        print(f"skipped {line}", file=sys.stderr)
    if not originals:
        raise ValueError(f"None of the {len(files)} files is a usable image.")
    scaled = np.stack(inputs).astype(np.float32) * np.float32((high - low) / 255.0) + low
    return Pictures(_names(paths), paths, originals, scaled)


def _names(paths: list[Path]) -> list[str]:
    """A name for each file: its own, and a number where others are called so too."""
    names: list[str] = []
    for path in paths:
        name, count = path.stem, 1
        while name in names:
            count += 1
            name = f"{path.stem}_{count}"
        names.append(name)
    return names


def _batches(total: int, batch_size: int) -> list[tuple[int, int]]:
    """(start, size) of each batch."""
    return [(s, min(batch_size, total - s)) for s in range(0, total, batch_size)]


def _write(
    given: argparse.Namespace,
    pictures: Pictures,
    maps: dict[str, NDArray[np.float32]],
    logits: NDArray[np.float32],
    classes: list[str] | None,
) -> None:
    """Writes overlays, sheets and answers.json; says what the model answered."""
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    predicted = probabilities.argmax(axis=1)
    names = classes or [f"class {number}" for number in range(logits.shape[1])]
    answers, overlays, titles = [], [], []
    for place, name in enumerate(pictures.names):
        image, best = pictures.originals[place], int(predicted[place])
        chance = float(probabilities[place, best])
        row, files, blank = [], {}, []
        for method, heatmaps in maps.items():
            heat = enlarge(heatmaps[place][np.newaxis], image.shape[:2]).numpy()[0]
            row.append(figures.overlay(image, heat, alpha=given.alpha))
            files[method] = f"{name}_{method}.png"
            Image.fromarray(row[-1]).save(given.out / files[method])
            if heat.max() == 0:
                blank.append(method)
        overlays.append(row)
        titles.append(f"{name}\n{names[best]} {chance:.0%}")
        answers.append(
            {
                "image": str(pictures.paths[place]),
                "class": names[best],
                "class_id": best,
                "probability": chance,
                "overlays": files,
                "blank": blank,
            }
        )
        note = f" (blank: {', '.join(blank)})" if blank else ""
        print(f"{pictures.paths[place]}: {names[best]} {chance:.1%}{note}")
    text = json.dumps(answers, indent=2, ensure_ascii=False) + "\n"
    (given.out / "answers.json").write_text(text, encoding="utf-8")
    if given.save_maps:
        arrays: dict[str, Any] = dict(maps)
        np.savez_compressed(given.out / "heatmaps.npz", **arrays)
    for number, (start, size) in enumerate(_batches(len(titles), ROWS_PER_SHEET), start=1):
        part = slice(start, start + size)
        sheet = figures.method_sheet(
            pictures.originals[part], overlays[part], titles[part], list(maps)
        )
        sheet.savefig(given.out / f"sheet_{number:04d}.png")
    print(f"overlays, sheets and answers: {given.out}")
