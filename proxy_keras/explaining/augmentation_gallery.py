"""A sheet of images that shows each augmentation: `python -m proxy_keras.augment.gallery`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.attribution import Explainer
from proxy_keras.attribution import names as methods
from proxy_keras.augment import BatchLayer, adapt, parse
from proxy_keras.augment import names as augmentations
from proxy_keras.data import ImageData
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.io.any_text import allow_any_text
from proxy_keras.io.extras import MissingExtra, extra
from proxy_keras.io.quiet_start import add_verbose_option
from proxy_keras.io.saved_model import image_size, open_saved
from proxy_keras.settings import DataConfig
from proxy_keras.settings.options import add_options

if TYPE_CHECKING:
    from proxy_keras.io.figures import Figure

Row = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Images [n, P, P, 3] float32 in [0, 255], and their labels [n, K]."""

NOT_SHOWN = {"curriculum": "it only changes the strength of another augmentation"}
LONG = 14
"""Number of rows from which the sheet has two blocks side by side."""


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m proxy_keras.augment.gallery",
        description="Draw one sheet with a row per augmentation and a column per image, and the "
        "class shares of its label under each image.",
    )
    parser.add_argument("--data", required=True, metavar="SRC", help="as `train --data`")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    parser.add_argument("--image-size", type=int, metavar="P", help="side in pixels")
    parser.add_argument("--data-dir", metavar="DIR", help="folder of prepared tfds data")
    add_options(parser, DataConfig, "index")
    parser.set_defaults(index=DataConfig("").index)
    parser.add_argument("--columns", type=int, default=5, metavar="N", help="images (default: 5)")
    parser.add_argument("--seed", type=int, default=0, metavar="I", help="seed of split and draws")
    parser.add_argument(
        "--aug",
        action="append",
        metavar="NAME[:KEY=VALUE,...]",
        help="a row; can be repeated (default: every augmentation)",
    )
    parser.add_argument(
        "--maps",
        type=Path,
        metavar="RUN|FILE.keras",
        help="a trained model, for augmentations that need heatmaps",
    )
    parser.add_argument(
        "--method",
        choices=methods(),
        default="grad_cam",
        metavar="NAME",
        help="attribution method of the heatmaps (default: grad_cam)",
    )
    add_verbose_option(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code: 0 done, 2 bad arguments or data."""
    allow_any_text()
    given = build_parser().parse_args(arguments)
    try:
        draw_gallery(given)
    except (MissingExtra, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def draw_gallery(given: argparse.Namespace) -> None:
    """Draw and save the sheet for the parsed arguments; see `build_parser`.

    Raises:
        MissingExtra: A package of the extra `train` is not installed.
        ValueError, OSError: The data, the model or an augmentation cannot be used.
    """
    with extra("train"):
        import matplotlib  # noqa: F401
    if given.columns < 2:
        raise ValueError(f"`--columns` must be >= 2. Received: {given.columns}")
    model = None if given.maps is None else open_saved(given.maps).model
    side = given.image_size if model is None else image_size(model, given.image_size)[0]
    data = ImageData.from_source(
        given.data,
        image_size=side,
        seed=given.seed,
        data_dir=given.data_dir,
        index=given.index,
        allow_missing_classes=True,
        progress=False,
    ).train
    images, labels = first_images(data, given.columns)
    heatmaps = None if model is None else Explainer(model, given.method).heatmaps(images)
    rows = {"originals": (images, labels)}
    for text in augmentations() if given.aug is None else given.aug:
        name = text.partition(":")[0]
        if given.aug is None and name in NOT_SHOWN:
            print(f"skipped {name}: {NOT_SHOWN[name]}")
            continue
        layer = parse(text)
        if given.aug is None:
            # Every image of the row must show the effect.
            layer.probability = 1.0
        if layer.needs_maps and heatmaps is None:
            print(f"skipped {name}: it needs heatmaps; pass a trained model as --maps")
            continue
        adapt([layer], data)
        rows[text.replace("_", " ")] = augmented(layer, images, labels, heatmaps, given.seed)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    draw_sheet(rows, data.classes).savefig(given.out)
    print(f"{len(rows) - 1} augmentations of {len(images)} images: {given.out}")


def augmented(
    layer: BatchLayer,
    images: NDArray[np.float32],
    labels: NDArray[np.float32],
    heatmaps: NDArray[np.float32] | None,
    seed: int,
    epoch: int = 1_000_000,
) -> Row:
    """Augment images and labels, keyed by the seed.

    Args:
        layer: The augmentation.
        images: [n, P, P, 3] float32 in [0, 255].
        labels: [n, K] float32.
        heatmaps: [n, h, w] float32 in [0, 1] of the images, for a layer that needs them.
        seed: Seed of the draws.
        epoch: For a layer that needs it. The default is late enough for any usual curriculum to be
            at its end.
    """
    needed: dict[str, object] = {"heatmaps": heatmaps} if layer.needs_maps else {}
    if layer.needs_epoch:
        needed["epoch"] = epoch
    made, shares = layer(
        tf.constant(images), tf.constant(labels), tf.constant([seed, 1], tf.int64), **needed
    )
    return made.numpy(), shares.numpy()


def first_images(data: TrainSplit, count: int) -> Row:
    """Return the first `count` images of the split, or all, cycling through the classes."""
    order = np.argsort(data.labels, kind="stable")
    starts = np.searchsorted(data.labels[order], data.labels[order])
    # The first of each class, then the second of each class, and so on.
    interleaved = order[np.argsort(np.arange(len(order)) - starts, kind="stable")]
    chosen = interleaved[:count].astype(np.int64)
    batches = list(data.originals(len(chosen), chosen))
    images = np.concatenate([images.numpy() for _, images, _ in batches])
    classes = np.concatenate([labels.numpy() for _, _, labels in batches])
    return images, np.eye(len(data.classes), dtype=np.float32)[classes]


def draw_sheet(rows: Mapping[str, Row], classes: Sequence[str]) -> Figure:
    """Draw the sheet: a row of images for each name, with their labels below.

    Args:
        rows: Names and their images; all rows have the same length.
        classes: Names of the classes.
    """
    from proxy_keras.io.figures import Figure, to_pixels

    names = list(rows)
    columns = len(rows[names[0]][0])
    blocks = 1 if len(names) < LONG else 2
    per_block = -(-len(names) // blocks)
    figure = Figure(
        figsize=(blocks * (1.25 * columns + 0.5), 1.55 * per_block), dpi=100, layout="constrained"
    )
    parts = figure.subfigures(1, blocks, squeeze=False, wspace=0.03)[0]
    for block, part in enumerate(parts):
        axes = part.subplots(per_block, columns, squeeze=False)
        for axis in axes.flat:
            axis.axis("off")
        for line, name in enumerate(names[block * per_block : (block + 1) * per_block]):
            axes[line, 0].text(
                -0.08,
                0.5,
                _in_lines(name),
                rotation=90,
                va="center",
                ha="right",
                fontsize=8,
                transform=axes[line, 0].transAxes,
            )
            for axis, image, shares in zip(axes[line], *rows[name], strict=True):
                axis.imshow(to_pixels(image))
                axis.text(
                    0.5,
                    -0.04,
                    label_text(shares, classes),
                    va="top",
                    ha="center",
                    fontsize=7,
                    transform=axis.transAxes,
                )
    return figure


def _in_lines(name: str, length: int = 16) -> str:
    """Wrap a name to lines of about the height of an image."""
    lines = [""]
    for word in name.replace(":", ": ").replace(",", ", ").split():
        if lines[-1] and len(lines[-1]) + len(word) >= length:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def label_text(shares: NDArray[np.float32], classes: Sequence[str], most: int = 3) -> str:
    """Return the classes of a label with shares of at least 2%, largest first.

    Args:
        shares: [K] float32.
        classes: Names of the classes.
        most: Largest number of classes to name; the rest is "others".
    """
    order = np.argsort(-shares, kind="stable")
    named = [index for index in order if shares[index] >= 0.02][:most]
    if shares[order[0]] > 0.995:
        return _class_name(classes[order[0]])
    lines = [f"{_class_name(classes[index])} {shares[index]:.0%}" for index in named]
    rest = shares.sum() - sum(shares[index] for index in named)
    return "\n".join([*lines, f"others {rest:.0%}"] if rest >= 0.01 else lines)


def _class_name(name: str) -> str:
    from proxy_keras.io.figures import truncate

    return truncate(name.replace("_", " "), 16)
