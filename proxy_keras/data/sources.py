"""Data sources by name, as the command line takes them."""

from __future__ import annotations

import dataclasses
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.decoy_digits import make_decoy_digits
from proxy_keras.data.image_source import (
    ImageSource,
    array_source,
    checked_image_size,
    folder_source,
)
from proxy_keras.data.scan_index import CACHE, Index
from proxy_keras.io.extras import extra

SOURCE_FORMS = (
    "digits",
    "decoy_digits",
    "clutter_digits",
    "a folder ROOT/CLASS/* or ROOT/{train,val,test}/CLASS/*",
    "npz:FILE",
    "tfds:NAME[:CONFIG]",
)

_BUNDLED = ("digits", "decoy_digits", "clutter_digits")
_DIGITS_SIZE = 32
_FOLDER_SIZE = 224
_NPZ_OPTIONAL = (
    *("x_test", "y_test", "classes"),
    *("groups_train", "groups_test", "boxes_train", "boxes_test"),
)
_NPZ_KEYS = ("x_train", "y_train", *_NPZ_OPTIONAL)


def open_source(
    src: str,
    *,
    image_size: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    groups: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: bool = True,
    index: Index = CACHE,
) -> ImageSource:
    """Read the images of a named source.

    Args:
        src: `digits` (scikit-learn's, 8 x 8 px), `decoy_digits` (see `make_decoy_digits`),
            `clutter_digits` (the same without decoys), a folder of images, `npz:FILE`, or
            `tfds:NAME[:CONFIG]`.
        image_size: Side in pixels; None: 32 for digits, the size of the arrays for `npz:`, 224 for
            folders and `tfds:`.
        data_dir: Folder of prepared `tfds:` data; None: the default of TensorFlow Datasets. Ignored
            for other sources.
        groups: Table of the groups of image files; None: `groups.csv` in the folder, if it exists.
        seed: Keys the images of `decoy_digits` and `clutter_digits`.
        progress: Show progress bars.
        index: See `scan.scan_folder`; ignored for sources that are no folders.

    Raises:
        ValueError: The source is unknown, its data cannot be used, or `groups` is given for images
            that are no files.
        FileNotFoundError: The file or folder does not exist.
        ConnectionError: A `tfds:` dataset is not on disk and cannot be downloaded.
    """
    if image_size is not None:
        image_size = checked_image_size(image_size)
    form, _, rest = src.partition(":")
    if groups is not None and (src in _BUNDLED or not Path(src).is_dir()):
        raise ValueError(
            f"Groups in a table are matched to image files by name, but the images of {src!r} are "
            "not files in a folder. Leave out --groups; an .npz file can hold groups_train and "
            "groups_test."
        )
    if form == "npz" and rest:
        return _npz_source(rest, image_size, progress)
    if form == "tfds" and rest:
        with extra("train"):
            from proxy_keras.data.tfds_source import tfds_source

        return tfds_source(
            rest, image_size=image_size or _FOLDER_SIZE, data_dir=data_dir, progress=progress
        )
    if src == "digits":
        return _digits_source(image_size or _DIGITS_SIZE, progress)
    if src in ("decoy_digits", "clutter_digits"):
        decoys = src == "decoy_digits"
        return _decoy_digits_source(image_size or _DIGITS_SIZE, seed, progress, decoys=decoys)
    if Path(src).exists():
        return folder_source(
            src,
            image_size=image_size or _FOLDER_SIZE,
            groups=groups,
            progress=progress,
            index=index,
        )
    raise ValueError(
        f"Unknown source {src!r}, and no folder has that name. Pass one of: "
        f"{'; '.join(SOURCE_FORMS)}."
    )


def _digits_source(image_size: int, progress: bool) -> ImageSource:
    with extra("train"):
        from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    classes = [str(name) for name in digits.target_names]
    return array_source(
        images, digits.target, classes=classes, image_size=image_size, progress=progress
    )


def _decoy_digits_source(
    image_size: int, seed: int, progress: bool, *, decoys: bool
) -> ImageSource:
    made = make_decoy_digits(seed=seed, decoys=decoys, image_size=image_size)
    source = array_source(
        made.x_train,
        made.y_train,
        test_images=made.x_test,
        test_labels=made.y_test,
        classes=made.classes,
        boxes=made.boxes_train,
        test_boxes=made.boxes_test,
        progress=progress,
    )
    if not decoys:
        return source
    boxes = np.concatenate([made.decoys_train, made.decoys_test]).tolist()
    return dataclasses.replace(source, planted=[tuple(box) for box in boxes])


def _npz_source(file: str, image_size: int | None, progress: bool) -> ImageSource:
    arrays = _read_npz(file)
    return array_source(
        arrays["x_train"],
        arrays["y_train"],
        test_images=arrays.get("x_test"),
        test_labels=arrays.get("y_test"),
        classes=[str(name) for name in arrays["classes"]] if "classes" in arrays else None,
        image_size=image_size,
        groups=arrays.get("groups_train"),
        test_groups=arrays.get("groups_test"),
        boxes=arrays.get("boxes_train"),
        test_boxes=arrays.get("boxes_test"),
        progress=progress,
    )


def _read_npz(file: str) -> dict[str, NDArray[Any]]:
    expected = f"Expected x_train and y_train and, optionally, {', '.join(_NPZ_OPTIONAL)}."
    if not Path(file).is_file():
        raise FileNotFoundError(f"{file!r} does not exist. {expected}")
    try:
        with zipfile.ZipFile(file):
            pass
        with np.load(file, allow_pickle=False) as archive:
            if missing := [key for key in _NPZ_KEYS[:2] if key not in archive]:
                raise ValueError(
                    f"{file!r} lacks {', '.join(missing)}; it has {', '.join(archive)}. {expected}"
                )
            return {key: archive[key] for key in _NPZ_KEYS if key in archive}
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(
            f"{file!r} is not an .npz archive or is damaged: {error}. {expected}"
        ) from error
