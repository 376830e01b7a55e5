"""load_source: the data that a name on the command line stands for."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.decoy_digits import make_decoy_digits
from proxy_keras.data.image_data import ImageData
from proxy_keras.data.tfds_source import load_tfds

SOURCE_FORMS = (
    "digits",
    "decoy_digits",
    "a folder ROOT/CLASS/* or ROOT/{train,val,test}/CLASS/*",
    "npz:FILE",
    "tfds:NAME[:CONFIG]",
)

_DIGITS_SIZE = 32
_FOLDER_SIZE = 224
_NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test", "classes")


def load_source(
    src: str,
    *,
    image_size: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    **options: Any,
) -> ImageData:
    """The images that a source stands for, with their split.

    Args:
        src: One of `digits` (scikit-learn's, 8 x 8 px), `decoy_digits` (see `make_decoy_digits`), a
            folder of images, `npz:FILE`, or `tfds:NAME[:CONFIG]`.
        image_size: Side in pixels; None: what is natural: 32 for digits, the arrays' own size for
            `npz:`, 224 for folders and `tfds:`.
        data_dir: Where prepared `tfds:` data lie; None: the library's own place. Of no effect on
            other sources.
        limit: See `ImageData.limit_training`; None: all.
        **options: seed, val, test, folds, fold, strict, split_dir, shortcut, val_shortcut,
            progress: see `ImageData`.

    Raises:
        ValueError: No source has this form, or its data cannot be used.
        FileNotFoundError: The file or folder does not exist.
        ConnectionError: A `tfds:` data set is not on disk and cannot be downloaded.
    """
    data = _load(src, image_size, data_dir, options)
    if limit is not None:
        data.limit_training(limit)
    return data


def _load(
    src: str,
    image_size: int | None,
    data_dir: str | os.PathLike[str] | None,
    options: dict[str, Any],
) -> ImageData:
    form, _, rest = src.partition(":")
    if form == "npz" and rest:
        return _load_npz(rest, image_size, options)
    if form == "tfds" and rest:
        return load_tfds(rest, image_size=image_size or _FOLDER_SIZE, data_dir=data_dir, **options)
    embedded: Mapping[str, Callable[[int, dict[str, Any]], ImageData]] = {
        "digits": _load_digits,
        "decoy_digits": _load_decoy_digits,
    }
    if src in embedded:
        return embedded[src](image_size or _DIGITS_SIZE, options)
    if Path(src).exists():
        return ImageData.from_folder(src, image_size=image_size or _FOLDER_SIZE, **options)
    raise ValueError(
        f"There is no source {src!r}, nor a folder of that name. A source is one of: "
        f"{'; '.join(SOURCE_FORMS)}."
    )


def _load_digits(image_size: int, options: dict[str, Any]) -> ImageData:
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    classes = [str(name) for name in digits.target_names]
    return ImageData.from_arrays(
        images, digits.target, classes=classes, image_size=image_size, **options
    )


def _load_decoy_digits(image_size: int, options: dict[str, Any]) -> ImageData:
    made = make_decoy_digits(seed=options.get("seed", 0), image_size=image_size)
    return ImageData.from_arrays(
        made.x_train,
        made.y_train,
        test_images=made.x_test,
        test_labels=made.y_test,
        classes=made.classes,
        boxes=made.boxes_train,
        test_boxes=made.boxes_test,
        **options,
    )


def _load_npz(file: str, image_size: int | None, options: dict[str, Any]) -> ImageData:
    arrays = _read_npz(file)
    return ImageData.from_arrays(
        arrays["x_train"],
        arrays["y_train"],
        test_images=arrays.get("x_test"),
        test_labels=arrays.get("y_test"),
        classes=[str(name) for name in arrays["classes"]] if "classes" in arrays else None,
        image_size=image_size,
        **options,
    )


def _read_npz(file: str) -> dict[str, NDArray[Any]]:
    expected = "Expected x_train and y_train and, optionally, x_test and y_test, and classes."
    if not Path(file).is_file():
        raise FileNotFoundError(f"There is no file {file!r}. {expected}")
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
        raise ValueError(f"{file!r} is no .npz archive, or damaged: {error}. {expected}") from error
