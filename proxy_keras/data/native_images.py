"""Image files read by TensorFlow's own operations, without Python for each image."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.data.in_python import in_python


@runtime_checkable
class NativeReader(Protocol):
    """A reader of files, some of which TensorFlow's operations read as `read_resized` does."""

    image_size: int

    def locate(
        self, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.object_], NDArray[np.bool_], NDArray[np.uint8]]:
        """Tell how the images of rows [B] are read.

        Returns:
            The paths [n], as bytes, of the files for TensorFlow's operations; which of the rows
            [B] these are; and the images of the other rows, uint8 [B - n, P, P, 3].
        """

    def check(self, rows: NDArray[np.int64]) -> None:
        """Check, after they were read, that the files of rows [B] have not changed."""


def read_natively(
    reader: NativeReader, rows_of: NDArray[np.int64], positions: tf.Tensor
) -> tf.Tensor:
    """Return images as uint8 [B, P, P, 3].

    Args:
        reader: Reads the files.
        rows_of: [n] the reader's rows of all positions.
        positions: [B] int64.
    """
    shape = [reader.image_size, reader.image_size, 3]
    paths, is_native, others = in_python(
        lambda places: reader.locate(rows_of[places]), [positions], [tf.string, tf.bool, tf.uint8]
    )
    others = tf.ensure_shape(others, [None, *shape])
    natives = tf.map_fn(
        lambda path: tf.ensure_shape(_decoded(path), shape),
        tf.ensure_shape(paths, [None]),
        fn_output_signature=tf.TensorSpec(shape, tf.uint8),
    )

    def checked(
        places: NDArray[np.int64], is_native: NDArray[np.bool_], some_pixels: NDArray[np.uint8]
    ) -> NDArray[np.bool_]:
        reader.check(rows_of[places[is_native]])
        return is_native

    # Some pixels make it wait until all are read, and its result is used, lest it be left out.
    is_native = in_python(checked, [positions, is_native, natives[:, 0, 0, 0]], tf.bool)
    is_native = tf.ensure_shape(is_native, [None])

    def merged() -> tf.Tensor:
        numbers = tf.range(tf.size(is_native))
        order = tf.dynamic_partition(numbers, tf.cast(is_native, tf.int32), 2)
        return tf.dynamic_stitch(order, [others, natives])

    return tf.cond(tf.reduce_all(is_native), lambda: natives, merged)


def _decoded(path: tf.Tensor) -> tf.Tensor:
    """Return the pixels of a JPEG or PNG file.

    TensorFlow's default for JPEG is faster, but less exact than Pillow's.
    """
    return tf.io.decode_jpeg(tf.io.read_file(path), channels=3, dct_method="INTEGER_ACCURATE")
