"""StreamReader: a `tf.data.Dataset` read from its beginning in a fixed order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.data.images import UnreadableImageError, read_image, read_resized, resize
from proxy_keras.data.readers import to_rgb
from proxy_keras.data.records import Record, Skipped, content_hash
from proxy_keras.data.scan import default_workers
from proxy_keras.data.stream_checks import check_elements
from proxy_keras.io.names import canonical
from proxy_keras.io.progress import progress_bar

_Raw = NDArray[np.generic] | bytes
"""The image of an element as TensorFlow returns it."""

_WINDOW = 256
"""Elements decoded in parallel and held in memory at a time."""


class StreamReader:
    """A reader of an unbatched dataset of (image, label) whose elements have a fixed order.

    The constructor reads the dataset twice, to find the images and to check that their order does
    not change: rows are positions in the dataset, so shuffling would mix up the labels.

    Args:
        dataset: Elements (image, label). An image is uint8 or float in [0, 255], [h, w, 3],
            [h, w, 1] or [h, w]; or a string, the bytes of an image file. A label is an integer or a
            string; or a whole float, also as [1], as of `label_mode="binary"`.
        image_size: Side P in pixels.
        name: "train", "val" or "test"; the prefix of example names ("train/17").
        classes: Class names by class id. None: integer labels are their own names.
        split: The split of all examples; None: it is drawn later.
        first_row: Number of the first row.
        progress: Show a progress bar.

    Attributes:
        records: One per image, in order.
        rows: [n] int64, the row of each record.
        skipped: Elements that are not usable images.

    Raises:
        TypeError: `dataset` is not a `tf.data.Dataset`.
        ValueError: The dataset is batched, infinite, empty or in another order when read again, or
            its images or labels are not of the kinds above.
    """

    def __init__(
        self,
        dataset: tf.data.Dataset,
        image_size: int,
        *,
        name: str,
        classes: Sequence[str] | None = None,
        split: str | None = None,
        first_row: int = 0,
        progress: bool = True,
    ) -> None:
        check_elements(dataset, name)
        options = tf.data.Options()
        options.deterministic = True
        self.image_size = image_size
        self.first_row = first_row
        self.records: list[Record] = []
        self.skipped: list[Skipped] = []
        self._dataset = dataset.with_options(options)
        self.rows = np.array(self._scan(name, classes, split, progress), np.int64)

    def __len__(self) -> int:
        """The number of elements of the dataset, including skipped ones."""
        return len(self.records) + len(self.skipped)

    def stream(self, rows: NDArray[np.int64]) -> tf.data.Dataset:
        """Return the given rows in the order of the dataset: (row int64, image uint8 [P, P, 3])."""
        is_wanted = np.zeros(len(self), bool)
        is_wanted[np.asarray(rows, np.int64) - self.first_row] = True
        numbered = self._dataset.enumerate().take(int(is_wanted.nonzero()[0].max(initial=-1)) + 1)
        wanted = numbered.filter(lambda position, _: tf.gather(tf.constant(is_wanted), position))

        def finish(
            position: tf.Tensor, element: tuple[tf.Tensor, tf.Tensor]
        ) -> tuple[tf.Tensor, tf.Tensor]:
            image = tf.numpy_function(
                lambda raw: _resized(raw, self.image_size),
                [element[0]],
                tf.uint8,
                stateful=False,
            )
            side = self.image_size
            return position + self.first_row, tf.ensure_shape(image, [side, side, 3])

        return wanted.map(finish, num_parallel_calls=tf.data.AUTOTUNE)

    def _scan(
        self, name: str, classes: Sequence[str] | None, split: str | None, progress: bool
    ) -> list[int]:
        """Fill `records` and `skipped`; return the row of each record."""
        rows: list[int] = []
        fingerprints: list[bytes] = []
        brightest = 0.0
        elements = enumerate(_read(self._dataset, f"Reading {name}", progress))
        with ThreadPoolExecutor(default_workers()) as pool:
            while window := list(islice(elements, _WINDOW)):
                paths = [f"{name}/{position}" for position, _ in window]
                results = pool.map(_inspect, paths, [raw for _, (raw, _) in window])
                for found, (position, (_, label)) in zip(results, window, strict=True):
                    fingerprints.append(found.fingerprint)
                    brightest = max(brightest, found.brightest)
                    label_name = _label_name(label, classes, found.path)
                    if found.reason is not None:
                        self.skipped.append(Skipped(found.path, found.reason, label_name))
                        continue
                    rows.append(self.first_row + position)
                    self.records.append(
                        Record(
                            path=found.path,
                            label=label_name,
                            split=split,
                            content_hash=found.content_hash,
                            size_bytes=found.size_bytes,
                        )
                    )
        if not self.records:
            raise ValueError(f"None of the {len(self)} elements of `{name}` is a usable image.")
        if brightest <= 1:
            raise ValueError(
                f"The images of `{name}` are floats up to {brightest:g}; they must be in "
                "[0, 255]. Scale them: dataset.map(lambda image, label: (image * 255, label))."
            )
        self._check_order(name, fingerprints, progress)
        return rows

    def _check_order(self, name: str, before: Sequence[bytes], progress: bool) -> None:
        elements = _read(self._dataset, f"Checking the order of {name}", progress)
        again = [_fingerprint(raw) for raw, _ in elements]
        if again == list(before):
            return
        if len(again) != len(before):
            found = f"first {len(before)} elements, then {len(again)}"
        else:
            changed = sum(one != other for one, other in zip(before, again, strict=True))
            found = f"{changed} of {len(before)} elements differed"
        raise ValueError(
            f"`{name}` changed between two readings ({found}). It must return the same images in "
            "the same order each time: remove `shuffle` and random augmentation; "
            "`data.train.batches` shuffles the training split and can augment it."
        )


@dataclass(frozen=True)
class _Inspection:
    """The properties of an element."""

    path: str
    fingerprint: bytes
    brightest: float
    content_hash: str = ""
    size_bytes: int = 0
    reason: str | None = None


def _inspect(path: str, raw: _Raw) -> _Inspection:
    fingerprint = _fingerprint(raw)
    try:
        image = _decoded(raw)
    except UnreadableImageError as error:
        return _Inspection(path, fingerprint, np.inf, reason=error.reason)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    brightest = float(np.max(raw)) if _is_float(raw) else np.inf
    size = len(raw) if isinstance(raw, bytes) else raw.nbytes
    return _Inspection(path, fingerprint, brightest, content_hash(image), size)


def _fingerprint(raw: _Raw) -> bytes:
    """Return the hash of the image as stored, which is faster than decoding it again."""
    content = raw if isinstance(raw, bytes) else repr(raw.shape).encode() + raw.tobytes()
    return hashlib.sha256(content).digest()


def _read(dataset: tf.data.Dataset, what: str, progress: bool) -> Iterator[tuple[_Raw, _Raw]]:
    count = int(dataset.cardinality())
    return progress_bar(
        dataset.as_numpy_iterator(),
        total=count if count >= 0 else None,
        desc=what,
        unit="image",
        shown=progress,
    )


def _resized(raw: _Raw, side: int) -> NDArray[np.uint8]:
    """Return the image of an element as [side, side, 3] uint8; for the errors see `_decoded`."""
    return read_resized(raw, side) if isinstance(raw, bytes) else resize(_decoded(raw), side)


def _decoded(raw: _Raw) -> NDArray[np.uint8]:
    """Decode the image of an element to [h, w, 3] uint8.

    Raises:
        UnreadableImageError: The bytes are not a usable image.
        ValueError: The values or the shape of the array are not those of an image.
    """
    if isinstance(raw, bytes):
        return read_image(raw)
    if raw.ndim not in (2, 3) or 0 in raw.shape or (raw.ndim == 3 and raw.shape[2] not in (1, 3)):
        raise ValueError(f"an image must be [h, w, 3]. Received: {list(raw.shape)}")
    if _is_float(raw):
        # `not` also catches NaN.
        if not (raw.min() >= 0 and raw.max() <= 255):
            raise ValueError(
                f"its values must be in [0, 255]. Received: {raw.min():g} to {raw.max():g}"
            )
        raw = np.rint(raw)
    return np.ascontiguousarray(to_rgb(raw.astype(np.uint8)[np.newaxis])[0])


def _is_float(raw: _Raw) -> bool:
    return not isinstance(raw, bytes) and raw.dtype != np.uint8


def _label_name(label: Any, classes: Sequence[str] | None, path: str) -> str:
    if np.ndim(label) == 1:
        if len(label) != 1:
            raise ValueError(
                f"The label of {path} must be one integer or string. Received: {len(label)} values."
            )
        label = label[0]
    if isinstance(label, bytes):
        name = canonical(label.decode("utf-8", "surrogateescape"))
        if classes is not None and name not in classes:
            if same := [one for one in classes if canonical(one) == name]:
                return same[0]
            raise ValueError(f"The label of {path} is {name!r}, which is not in `classes`.")
        return name
    if not float(label).is_integer():
        raise ValueError(f"The label of {path} is {label}; it must be a whole number.")
    class_id = int(label)
    if class_id < 0 or (classes is not None and class_id >= len(classes)):
        raise ValueError(
            f"The label of {path} is {class_id}; it must be in [0, number of classes)."
        )
    return str(class_id) if classes is None else classes[class_id]
