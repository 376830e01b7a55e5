"""DataSplit: a split of the data as tf.data batches, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.data.groups import Groups
from proxy_keras.data.in_python import as_written, in_python
from proxy_keras.data.native_images import NativeReader, read_natively
from proxy_keras.distribution.parts import Parts

Finish = Callable[[NDArray[np.uint8], NDArray[np.int64]], NDArray[np.uint8]]
"""Changes images [B, P, P, 3] as they are read, given their rows [B]: a pure function of both."""


class RowReader(Protocol):
    """A reader of any rows of a data set: arrays or files."""

    image_size: int

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images of rows [B]: uint8 [B, P, P, 3]. Called from several threads."""


@runtime_checkable
class RowStream(Protocol):
    """A reader of a data set that can only be read from its start, in a fixed order."""

    image_size: int

    def stream(self, rows: NDArray[np.int64]) -> tf.data.Dataset:
        """Return the given rows in stream order: (row int64, image uint8 [P, P, 3])."""


class DataSplit:
    """One split of the data, read in a fixed order.

    Args:
        reader: Reads the images.
        rows: [n] int64, the reader's rows that belong to the split.
        labels: [n] int32 class ids.
        example_ids: n ids, unique.
        name: "train", "val" or "test".
        seed: Seed of everything random.
        classes: Names of the classes, by class id.
        finish: Applied to the images as they are read; None: not used.
        boxes: x0, y0, x1, y1 of the object in pixels, by example id; None: unknown.
        planted: The boxes of planted shortcuts, by example id; None: none is planted.
        groups: The groups of the examples, in their order; None: all are unknown.
    """

    def __init__(
        self,
        reader: RowReader | RowStream,
        rows: NDArray[np.int64],
        labels: NDArray[np.int32],
        example_ids: Sequence[str],
        *,
        name: str,
        seed: int,
        classes: Sequence[str],
        finish: Finish | None = None,
        boxes: Mapping[str, tuple[int, int, int, int]] | None = None,
        planted: Mapping[str, Sequence[tuple[int, int, int, int]]] | None = None,
        groups: Groups | None = None,
    ) -> None:
        self.rows = np.asarray(rows, np.int64)
        self.labels = np.asarray(labels, np.int32)
        self.example_ids = list(example_ids)
        self.name = name
        self.seed = seed
        self.classes = list(classes)
        self.image_size = reader.image_size
        self._reader = reader
        self.boxes = boxes
        self.planted = planted
        self._finish = finish
        self.groups = Groups.unknown_for(len(self.rows)) if groups is None else groups

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.rows)

    def batches(
        self, batch_size: int, *, one_hot: bool = False, parts: Parts | None = None
    ) -> tf.data.Dataset:
        """Return the examples in a fixed order, once.

        Args:
            batch_size: Examples per batch, >= 1; the last batch may be smaller.
            one_hot: Labels as [B, K] float32 instead of [B] int32 class ids.
            parts: Return these parts of each batch instead of batches.

        Returns:
            Batches of (images float32 [B, P, P, 3] in [0, 255], labels).
        """

        @as_written
        def encode(
            positions: tf.Tensor, images: tf.Tensor, labels: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            return images, self._encode(labels, one_hot)

        return self.originals(batch_size, parts=parts).map(encode)

    def batches_with_groups(
        self, batch_size: int, *, one_hot: bool = False, parts: Parts | None = None
    ) -> tf.data.Dataset:
        """Return unchanged examples with their groups, in a fixed order, once; see `batches`.

        Returns:
            Batches of (images, labels, groups int32 [B], -1 where they are unknown).
        """

        @as_written
        def encode(
            positions: tf.Tensor, images: tf.Tensor, labels: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            groups = tf.gather(tf.constant(self.groups.ids), positions)
            return images, self._encode(labels, one_hot), groups

        return self.originals(batch_size, parts=parts).map(encode)

    def originals(
        self,
        batch_size: int,
        positions: NDArray[np.int64] | None = None,
        *,
        parts: Parts | None = None,
    ) -> tf.data.Dataset:
        """Return unchanged examples, in ascending order of their positions.

        Args:
            batch_size: Examples per batch, >= 1.
            positions: [m] positions of examples in the split, counted from 0; None: all.
            parts: Return these parts of each batch instead of batches.

        Returns:
            Batches of (positions int64 [B], images float32 [B, P, P, 3] in [0, 255], labels int32
            [B]). A stream keeps its own, fixed order.
        """
        check_batch_size(batch_size)
        chosen = np.arange(len(self)) if positions is None else np.sort(positions)
        reader = self._reader
        if isinstance(reader, RowStream):
            batches = self._streamed(reader, chosen).batch(batch_size)
        else:
            batches = tf.data.Dataset.from_tensor_slices(chosen.astype(np.int64)).batch(batch_size)
        if parts is not None:
            batches = parts.of(batches).map(as_written(lambda _, part: part))
        if not isinstance(reader, RowStream):
            read = as_written(partial(self._read, reader))
            batches = batches.map(read, num_parallel_calls=tf.data.AUTOTUNE)

        @as_written
        def complete(places: tf.Tensor, images: tf.Tensor) -> tuple[tf.Tensor, ...]:
            labels = tf.gather(tf.constant(self.labels), places)
            return places, tf.cast(images, tf.float32), labels

        batches = batches.map(complete, num_parallel_calls=tf.data.AUTOTUNE)
        return finished(batches, len(chosen), batch_size, parts)

    def _encode(self, labels: tf.Tensor, one_hot: bool) -> tf.Tensor:
        return tf.one_hot(labels, len(self.classes)) if one_hot else labels

    def _read(
        self, reader: RowReader, positions: tf.Tensor, is_wanted: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return positions [B] and their images: uint8 [B, P, P, 3], black unless wanted."""

        if is_wanted is None:
            return positions, self._images(reader, positions)
        wanted = is_wanted

        def with_black() -> tf.Tensor:
            images = self._images(reader, tf.boolean_mask(positions, wanted))
            count = tf.size(positions, tf.int64)
            shape = tf.concat([[count], tf.shape(images, tf.int64)[1:]], axis=0)
            return tf.scatter_nd(tf.where(wanted), images, shape)

        images = tf.cond(tf.reduce_all(wanted), lambda: self._images(reader, positions), with_black)
        return positions, tf.ensure_shape(images, [None, self.image_size, self.image_size, 3])

    def _images(self, reader: RowReader, positions: tf.Tensor) -> tf.Tensor:
        """Return the images of positions [B]: uint8 [B, P, P, 3]."""
        if not isinstance(reader, NativeReader):
            images = in_python(
                lambda places: self._completed(reader.read(self.rows[places]), self.rows[places]),
                [positions],
                tf.uint8,
            )
            return tf.ensure_shape(images, [None, self.image_size, self.image_size, 3])
        images = read_natively(reader, self.rows, positions)
        if self._finish is None:
            return images
        done = in_python(
            lambda places, images: self._completed(images, self.rows[places]),
            [positions, images],
            tf.uint8,
        )
        return tf.ensure_shape(done, images.shape)

    def _streamed(self, reader: RowStream, positions: NDArray[np.int64]) -> tf.data.Dataset:
        """Return (position int64, image uint8 [P, P, 3]) in stream order."""
        position_of = np.full([int(self.rows.max()) + 1], -1, np.int64)
        position_of[self.rows[positions]] = positions

        @as_written
        def complete(row: tf.Tensor, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            done = in_python(
                lambda image, row: self._completed(image[None], row[None])[0],
                [image, row],
                tf.uint8,
            )
            return tf.gather(tf.constant(position_of), row), tf.ensure_shape(done, image.shape)

        return reader.stream(self.rows[positions]).map(
            complete, num_parallel_calls=tf.data.AUTOTUNE
        )

    def _completed(self, images: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return images if self._finish is None else self._finish(images, rows)


def finished(
    batches: tf.data.Dataset, examples: int, batch_size: int, parts: Parts | None = None
) -> tf.data.Dataset:
    """Return the dataset with a known length and a fixed order."""
    options = tf.data.Options()
    options.deterministic = True
    count = -(-examples // batch_size) * (1 if parts is None else parts.count)
    batches = batches.apply(tf.data.experimental.assert_cardinality(count))
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


def check_batch_size(batch_size: int) -> None:
    if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)):
        raise TypeError(f"`batch_size` must be an integer. Received: {batch_size!r}")
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be >= 1. Received: {batch_size}")
