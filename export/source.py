"""The model to export, with its metadata and real images for the comparison with Keras."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

from proxy_keras.data import ImageData
from proxy_keras.data.data_split import DataSplit
from proxy_keras.data.images import read_resized, resize
from proxy_keras.io import saved_model
from proxy_keras.io.class_names import check_order
from proxy_keras.io.saved_model import SavedModel, open_saved
from proxy_keras.settings import TrainConfig
from proxy_keras.training.run import load_data
from proxy_keras.training.run_folder import finished_metrics

CHECKED_IMAGES = 7


@dataclass(frozen=True)
class Source:
    """A trained model with the metadata for its file.

    Attributes:
        model: The saved model.
        name: Its name: letters, digits, ".", "-" and "_".
        classes: Class names by class id.
        image_size: (height, width) in pixels.
        data: Its images and their split; None if not needed or unknown.
        split_sha256: The split's hash; None if unknown.
        test_accuracy: On the held-out test split, in [0, 1]; None if unknown.
        path: Its run folder or file, for messages; None if unknown.
    """

    model: keras.Model
    name: str
    classes: list[str]
    image_size: tuple[int, int]
    data: ImageData | None
    split_sha256: str | None
    test_accuracy: float | None
    path: str | None = None

    def data_for(self, purpose: str) -> ImageData:
        """Return the images and their split.

        Args:
            purpose: Why they are needed, a sentence for the message.

        Raises:
            ValueError: They are unknown.
        """
        if self.data is None:
            raise ValueError(f"{purpose} Export a run folder, or pass the data: --data SRC")
        return self.data


def open_source(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    data: str | None = None,
    needs_data: bool = False,
    progress: bool = True,
    index: str | None = None,
) -> Source:
    """Open a model with its metadata.

    Args:
        path: A run folder, or a `.keras` file.
        name: Name in the exported file; None: that of the model.
        labels: JSON file of class names, see `read_class_names`; None: those of the run or the
            data.
        image_size: Side in pixels, for a model that takes any size; None: the model's own.
        data: Source of images, see `ImageData.from_source`, for a model without a run folder.
        needs_data: Whether to open its images.
        progress: Show progress bars.
        index: See `ImageData.from_folder`; None: that of the run, or for other data "cache".

    Raises:
        ValueError, OSError: The model, names or data cannot be used.
    """
    saved = open_saved(path, labels)
    size = saved_model.image_size(saved.model, image_size)
    images = _open_data(saved, data, size, needs_data, progress, index)
    count = int(saved.model.output_shape[-1])
    classes = saved.classes
    if images is not None:
        if images.num_classes != count:
            raise ValueError(
                f"The model has {count} classes, the data have {images.num_classes}. Pass the data "
                "that the model was trained on."
            )
        if labels is not None and classes is not None:
            check_order(labels, classes, images.classes)
        classes = classes or images.classes
    return Source(
        model=saved.model,
        name=model_name(name or _recorded_name(saved) or saved.model.name),
        classes=classes or [f"class {number}" for number in range(count)],
        image_size=size,
        data=images,
        split_sha256=_recorded_split(saved, images),
        test_accuracy=_recorded_accuracy(saved),
        path=saved.name,
    )


def real_images(
    source: Source, paths: Sequence[str | os.PathLike[str]], count: int = CHECKED_IMAGES
) -> tuple[NDArray[np.uint8], str]:
    """Return images for the comparison with Keras, and their description.

    Args:
        source: The model.
        paths: Image files; empty: images of the validation split if the data are open, else crops
            of scikit-learn's two sample photographs.
        count: Number of images, >= 1.

    Returns:
        [count, H, W, 3] uint8, repeated if there are fewer.
    """
    height, width = source.image_size
    if paths:
        images = [read_resized(path, (height, width)) for path in paths]
        description = f"{len(paths)} given images"
    elif source.data is not None:
        images = list(_first(source.data.val, count))
        description = f"{len(images)} images of the validation split"
    else:
        images = [resize(crop, (height, width)) for crop in _crops(count)]
        description = f"{count} crops of scikit-learn's sample photographs"
    return np.stack([images[number % len(images)] for number in range(count)]), description


def model_name(name: str) -> str:
    """Return a name without the characters that model repositories do not allow."""
    cleaned = "".join(c if c.isascii() and (c.isalnum() or c in ".-_") else "_" for c in name)
    return cleaned.lstrip(".-_") or "model"


def versions() -> dict[str, str]:
    """Return the versions of the packages that produce the file."""
    names = ("keras", "tensorflow", "tf2onnx", "onnx", "numpy")
    return {name: metadata.version(name) for name in names}


def _first(split: DataSplit, count: int) -> NDArray[np.uint8]:
    batches = split.originals(count, np.arange(min(count, len(split))))
    parts = [images for _, images, _ in batches.as_numpy_iterator()]
    return np.concatenate(parts).astype(np.uint8)


def _crops(count: int) -> Iterable[NDArray[np.uint8]]:
    """Yield square crops spread over the photographs, from large to small."""
    photographs = load_sample_images().images
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        height, width = photograph.shape[:2]
        side = min(height, width) * (2 * count - number) // (2 * count)
        share = number / max(1, count - 1)
        top, left = int((height - side) * share), int((width - side) * (1 - share))
        yield photograph[top : top + side, left : left + side]


def _open_data(
    saved: SavedModel,
    given: str | None,
    size: tuple[int, int],
    is_needed: bool,
    progress: bool,
    index: str | None,
) -> ImageData | None:
    if given is not None:
        if size[0] != size[1]:
            raise ValueError(f"--data reads square images; the model takes {size[0]} x {size[1]}.")
        return ImageData.from_source(
            given, image_size=size[0], progress=progress, index=index or "cache"
        )
    if not is_needed or saved.run is None:
        return None
    config = TrainConfig.load(saved.run / "config.json")
    if index is not None:
        config = replace(config, data=replace(config.data, index=index))
    try:
        return load_data(config, saved.run, progress=progress)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"The images that {saved.run} was trained on are missing: {error} Restore them, or "
            "pass other images for the comparison with Keras: --images PATH..."
        ) from error


def _recorded_name(saved: SavedModel) -> str | None:
    return None if saved.run is None else str(TrainConfig.load(saved.run / "config.json").model)


def _recorded_split(saved: SavedModel, data: ImageData | None) -> str | None:
    if saved.run is not None and (saved.run / "run.json").is_file():
        about = json.loads((saved.run / "run.json").read_text(encoding="utf-8"))
        return str(about["split_sha256"])
    return None if data is None else data.split_sha256


def _recorded_accuracy(saved: SavedModel) -> float | None:
    # A run's metrics are those of its last epoch, not of `best.keras`.
    if saved.run is None or saved.file.name != "model.keras":
        return None
    metrics = finished_metrics(saved.run)
    return None if metrics is None else float(metrics["test"]["accuracy"])
