"""What is exported: a model with its names, its split, and real images to check the file on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

from proxy_keras.data import ImageData
from proxy_keras.data.data_split import Subset
from proxy_keras.data.images import read_image, resize
from proxy_keras.io import saved_model
from proxy_keras.io.saved_model import SavedModel, open_saved
from proxy_keras.settings import TrainConfig
from proxy_keras.training.run import load_data
from proxy_keras.training.run_folder import finished_metrics

CHECKED_IMAGES = 7


@dataclass(frozen=True)
class Source:
    """A trained model with all that its file is to know.

    Attributes:
        model: The model as it was saved.
        name: A name for it: letters, digits, ".", "-" and "_".
        classes: Class names by class id.
        image_size: (height, width) in pixels.
        data: Its images and their split; None where they were not needed or are not known.
        split_sha256: The split's hash; None where it is not known.
        test_accuracy: On the held-out test split, in [0, 1]; None where it is not known.
    """

    model: keras.Model
    name: str
    classes: list[str]
    image_size: tuple[int, int]
    data: ImageData | None
    split_sha256: str | None
    test_accuracy: float | None

    def data_for(self, purpose: str) -> ImageData:
        """The images and their split.

        Args:
            purpose: What they are for, a sentence, for the message.

        Raises:
            ValueError: They are not known.
        """
        if self.data is None:
            raise ValueError(f"{purpose} Export a run folder, or give the data: --data SRC")
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
) -> Source:
    """The model that a path names, with all that is known of it.

    Args:
        path: A run folder, or a `.keras` file.
        name: The name to give it; None: that of the model.
        labels: JSON file of class names, a list or an object by class id; None: those of the run
            or the data.
        image_size: Side in pixels, for a model that takes any; None: the model's own.
        data: Source of images, see `ImageData.from_source`, for a model without a run folder.
        needs_data: Whether its images are to be opened.
        progress: Show progress bars.

    Raises:
        ValueError, OSError: The model, names or data cannot be used; the message says what to do.
    """
    saved = open_saved(path, labels)
    size = saved_model.image_size(saved.model, image_size)
    images = _open_data(saved, data, size, needs_data, progress)
    count = int(saved.model.output_shape[-1])
    classes = saved.classes
    if images is not None:
        if images.num_classes != count:
            raise ValueError(
                f"The model answers {count} classes, the data have {images.num_classes}. Give the "
                "data that the model was trained on."
            )
        classes = classes or images.classes
    return Source(
        model=saved.model,
        name=_name(name or _recorded_name(saved) or saved.model.name),
        classes=classes or [f"class {number}" for number in range(count)],
        image_size=size,
        data=images,
        split_sha256=_recorded_split(saved, images),
        test_accuracy=_recorded_accuracy(saved),
    )


def real_images(
    source: Source, paths: Sequence[str | os.PathLike[str]], count: int = CHECKED_IMAGES
) -> tuple[NDArray[np.uint8], str]:
    """Images on which the file is compared with Keras, and in words what they are.

    Args:
        source: The model.
        paths: Image files of the user's; empty: images of the validation split where the data are
            open, else crops of the two photographs that scikit-learn brings along.
        count: How many, >= 1.

    Returns:
        [count, H, W, 3] uint8; the same ones again where there are fewer.
    """
    height, width = source.image_size
    if paths:
        at_least = 2 * max(height, width)
        images = [resize(read_image(p, at_least=at_least), (height, width)) for p in paths]
        what = f"{len(paths)} given images"
    elif source.data is not None:
        images = list(_first(source.data.val, count))
        what = f"{len(images)} images of the validation split"
    else:
        images = [resize(crop, (height, width)) for crop in _crops(count)]
        what = f"{count} crops of scikit-learn's sample photographs"
    return np.stack([images[number % len(images)] for number in range(count)]), what


def versions() -> dict[str, str]:
    """The versions of what made the file."""
    names = ("keras", "tensorflow", "tf2onnx", "onnx", "numpy")
    return {name: metadata.version(name) for name in names}


def _first(subset: Subset, count: int) -> NDArray[np.uint8]:
    batches = subset.originals(count, np.arange(min(count, len(subset))))
    parts = [images for _, images, _ in batches.as_numpy_iterator()]
    return np.concatenate(parts).astype(np.uint8)


def _crops(count: int) -> Iterable[NDArray[np.uint8]]:
    """Square crops at places spread over the photographs, from large to small."""
    photographs = load_sample_images().images
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        height, width = photograph.shape[:2]
        side = min(height, width) * (2 * count - number) // (2 * count)
        share = number / max(1, count - 1)
        top, left = int((height - side) * share), int((width - side) * (1 - share))
        yield photograph[top : top + side, left : left + side]


def _open_data(
    saved: SavedModel, given: str | None, size: tuple[int, int], is_needed: bool, progress: bool
) -> ImageData | None:
    if given is not None:
        if size[0] != size[1]:
            raise ValueError(f"--data gives square images; the model takes {size[0]} x {size[1]}.")
        return ImageData.from_source(given, image_size=size[0], progress=progress)
    if not is_needed or saved.run is None:
        return None
    config = TrainConfig.load(saved.run / "config.json")
    try:
        return load_data(config, saved.run, progress=progress)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"The images that {saved.run} was trained on are not where they were: {error} Bring "
            "them back, or give other images to check the file on: --images PATH..."
        ) from error


def _recorded_name(saved: SavedModel) -> str | None:
    return None if saved.run is None else str(TrainConfig.load(saved.run / "config.json").model)


def _name(name: str) -> str:
    """The name with all that no model repository takes replaced."""
    cleaned = "".join(c if c.isascii() and (c.isalnum() or c in ".-_") else "_" for c in name)
    return cleaned.lstrip(".-_") or "model"


def _recorded_split(saved: SavedModel, data: ImageData | None) -> str | None:
    if saved.run is not None and (saved.run / "run.json").is_file():
        about = json.loads((saved.run / "run.json").read_text(encoding="utf-8"))
        return str(about["split_sha256"])
    return None if data is None else data.split_sha256


def _recorded_accuracy(saved: SavedModel) -> float | None:
    # The metrics of a run are those of its last epoch, not of `best.keras` beside it.
    if saved.run is None or saved.file.name != "model.keras":
        return None
    metrics = finished_metrics(saved.run)
    return None if metrics is None else float(metrics["test"]["accuracy"])
