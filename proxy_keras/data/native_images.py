"""Image files read by TensorFlow's own operations, without Python for each image."""

from __future__ import annotations

from collections.abc import Callable
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


def read_natively(
    locate: Callable[
        [NDArray[np.int64]], tuple[NDArray[np.object_], NDArray[np.bool_], NDArray[np.uint8]]
    ],
    places: tf.Tensor,
    image_size: int,
) -> tf.Tensor:
    """Return images as uint8 [B, P, P, 3].

    Args:
        locate: See `NativeReader.locate`; takes `places`.
        places: [B] int64, which images.
        image_size: Side P in pixels. Files for TensorFlow's operations have this size.
    """
    side = image_size
    paths, is_native, others = in_python(locate, [places], [tf.string, tf.bool, tf.uint8])
    is_native = tf.ensure_shape(is_native, [None])
    others = tf.ensure_shape(others, [None, side, side, 3])
    natives = tf.map_fn(
        lambda path: tf.ensure_shape(_decoded(path), [side, side, 3]),
        tf.ensure_shape(paths, [None]),
        fn_output_signature=tf.TensorSpec([side, side, 3], tf.uint8),
    )

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
