"""Checks and records of images and labels in arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data.readers import Images, check_images, to_rgb
from proxy_keras.data.records import Record, content_hash
from proxy_keras.io.names import canonical
from proxy_keras.io.progress import progress_bar

Labels = NDArray[Any] | Sequence[int] | Sequence[str]

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; x1 and y1 are exclusive."""


def as_images(images: Any, name: str) -> Images:
    """Return images as an array, copied only if they are none: lists, or TensorFlow tensors.

    Args:
        images: An array; or a list, nested or of arrays, or a tensor. Numbers in lists count as
            uint8 if they are whole and in [0, 255].
        name: Name of the argument, for the error message.

    Raises:
        TypeError: They are no images at all.
        ValueError: The images of a list have different sizes.
    """
    if isinstance(images, np.ndarray):
        return images
    if not hasattr(images, "__array__") and not isinstance(images, (list, tuple)):
        raise TypeError(
            f"`{name}` must be an array [N, h, w, 3] uint8. Received: {type(images).__name__}. For "
            "files, use ImageData.from_folder."
        )
    try:
        found = np.asarray(images)
    except ValueError as error:
        raise ValueError(
            f"The images of `{name}` must have the same size, to be one array [N, h, w, 3]. "
            "Received: a list of images of different sizes. Resize them, or save them as files and "
            "use ImageData.from_folder."
        ) from error
    is_list = isinstance(images, (list, tuple)) and np.issubdtype(found.dtype, np.integer)
    if is_list and found.size and found.min() >= 0 and found.max() <= 255:
        return found.astype(np.uint8)
    return found


def as_labels(labels: Any, name: str) -> NDArray[Any]:
    """Return labels as an array of integers or strings.

    Bytes, as in tensors, become strings, and whole floats, as of `label_mode="binary"`, integers.

    Raises:
        TypeError: There are none, or they are no list.
    """
    found = np.asarray(labels)
    if found.ndim == 0:
        raise TypeError(
            f"The labels of `{name}` must be one integer or string per image. Received: {labels!r}"
        )
    if found.dtype.kind in "SO" and all(isinstance(one, bytes) for one in found.flat):
        texts = [canonical(one.decode("utf-8", "surrogateescape")) for one in found.flat]
        return np.array(texts, dtype=object).reshape(found.shape)
    is_column = found.ndim == 1 or found.shape[1:] == (1,)
    if found.dtype.kind == "f" and is_column and (found == np.rint(found)).all():
        return found.astype(np.int64)
    return found


def checked_classes(classes: Any) -> list[str] | None:
    """Return class names as a list.

    Raises:
        TypeError: They are no list of strings.
        ValueError: A name appears twice.
    """
    if classes is None:
        return None
    if isinstance(classes, Mapping):
        raise TypeError(
            "`classes` must be a list of names, by class id. Received: a dictionary. If it maps "
            "names to class ids: sorted(classes, key=classes.get)."
        )
    is_list = not isinstance(classes, (str, bytes)) and isinstance(classes, Iterable)
    names = list(classes) if is_list else []
    if not is_list or not all(isinstance(one, str) for one in names):
        raise TypeError(f"`classes` must be a list of strings, by class id. Received: {classes!r}")
    if len(set(names)) != len(names):
        raise ValueError(f"The names in `classes` must be unique. Received: {names}")
    return [str(one) for one in names]


def class_names(parts: Sequence[Labels], classes: Sequence[str] | None) -> tuple[str, ...]:
    """Return the class names by class id: those given, or else the sorted labels.

    Args:
        parts: Arrays of labels, integers or strings. If all are numbers, they sort as numbers.
        classes: The names; None: the labels.
    """
    if classes is not None:
        return tuple(classes)
    found = sorted({str(label) for part in parts for label in np.ravel(part)})
    is_numbers = all(name.isascii() and name.isdigit() for name in found)
    return tuple(sorted(found, key=int) if is_numbers else found)


def array_records(
    images: Images,
    labels: Labels,
    classes: Sequence[str] | None,
    *,
    name: str,
    split: str | None,
    progress: bool = True,
) -> list[Record]:
    """Return a record for each image, in the order of the array.

    Args:
        images: [N, h, w, 3], [N, h, w, 1] or [N, h, w] uint8.
        labels: [N] or [N, 1] class ids or class names.
        classes: Class names by class id; None: each label is its own name.
        name: Name of the argument, for messages; the path of image 17 is "name/17".
        split: The split of all the images; None: it is drawn later.
        progress: Show a progress bar.

    Raises:
        ValueError: See `readers.check_images`; or the labels are not one integer or string per
            image, or not among the classes.
    """
    check_images(images, name)
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) != len(images):
        raise ValueError(
            f"The labels of `{name}` must be one integer or string per image, [{len(images)}]. "
            f"Received: {list(labels.shape)}. For one-hot labels: labels.argmax(axis=1)."
        )
    names = _names(labels, classes, name)
    bar = progress_bar(names, desc=f"Reading {name}", unit="image", shown=progress)
    return [
        Record(
            path=f"{name}/{row}",
            label=label,
            split=split,
            content_hash=content_hash(to_rgb(images[row : row + 1])[0]),
            size_bytes=images[row].nbytes,
        )
        for row, label in enumerate(bar)
    ]


def scale_boxes(
    parts: Sequence[NDArray[Any] | None], images: Sequence[Images], image_size: int
) -> list[Box] | None:
    """Convert boxes to pixels of the resized images; None if there are no boxes.

    Args:
        parts: For each array [n, 4] x0, y0, x1, y1 in pixels of the array, or None.
        images: The arrays of images.
        image_size: Side of the images after resizing.

    Raises:
        ValueError: Some images have a box and others do not.
    """
    given = [boxes for boxes in parts if boxes is not None]
    if not given:
        return None
    for boxes in map(np.asarray, given):
        if boxes.ndim != 2 or boxes.shape[1] != 4 or boxes.dtype.kind not in "iuf":
            raise ValueError(
                "Boxes must be [N, 4]: x0, y0, x1, y1 of each image. Received: "
                f"{list(boxes.shape)} {boxes.dtype}"
            )
    if [len(boxes) for boxes in given] != [len(array) for array in images]:
        raise ValueError("Pass boxes for every image, including `test_images`, or for none.")
    scaled = [
        np.asarray(boxes) * (image_size / np.array(array.shape[1:3])[[1, 0, 1, 0]])
        for boxes, array in zip(given, images, strict=True)
    ]
    return [tuple(box) for box in np.rint(np.concatenate(scaled)).astype(int).tolist()]


def _names(labels: NDArray[Any], classes: Sequence[str] | None, name: str) -> list[str]:
    """Return the class name of each label; without `classes`, the label itself."""
    if np.issubdtype(labels.dtype, np.integer):
        if classes is None:
            return [str(label) for label in labels.tolist()]
        if labels.min(initial=0) < 0 or labels.max(initial=0) >= len(classes):
            raise ValueError(
                f"The labels of `{name}` must be in [0, {len(classes)}), the number of classes. "
                f"Received: {labels.min()} to {labels.max()}"
            )
        return [classes[label] for label in labels.tolist()]
    if labels.dtype.kind not in "UO" or not all(isinstance(label, str) for label in labels):
        raise ValueError(
            f"The labels of `{name}` must be integers or strings. Received: {labels.dtype}. Map "
            "them to class ids; for True and False: labels.astype(int)."
        )
    if classes is not None and (unknown := sorted(set(labels.tolist()) - set(classes))):
        raise ValueError(f"These labels of `{name}` are not among the classes: {unknown[:3]}")
    return labels.tolist()
