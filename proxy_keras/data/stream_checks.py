"""Checks that the elements of a `tf.data.Dataset` are images with labels."""

from __future__ import annotations

import tensorflow as tf


def check_elements(dataset: tf.data.Dataset, name: str) -> None:
    """Check the specification of a dataset, without reading it.

    Raises:
        TypeError: It is no `tf.data.Dataset`.
        ValueError: Its elements are no pairs of one image and one label, or it is infinite.
    """
    if not isinstance(dataset, tf.data.Dataset):
        raise TypeError(f"`{name}` must be a tf.data.Dataset. Received: {type(dataset).__name__}")
    spec = dataset.element_spec
    if not (
        isinstance(spec, tuple)
        and len(spec) == 2
        and all(isinstance(part, tf.TensorSpec) for part in spec)
    ):
        raise ValueError(
            f"The elements of `{name}` must be pairs (image, label). Received: {spec}. Map them "
            "first: dataset.map(lambda element: (element['image'], element['label']))."
        )
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(f"`{name}` is infinite. Remove `repeat`.")
    image, label = spec
    if image.dtype == tf.string:
        ranks = [0]
    elif image.dtype == tf.uint8 or image.dtype.is_floating:
        ranks = [2, 3]
    else:
        raise ValueError(
            f"The images of `{name}` must be uint8 or float in [0, 255], or the bytes of image "
            f"files. Received: {image.dtype.name}"
        )
    if image.shape.rank is not None and image.shape.rank == ranks[-1] + 1:
        raise ValueError(
            f"`{name}` is batched: its images are {image.shape}. Pass `dataset.unbatch()`; "
            "`batches` of the subsets makes the batches."
        )
    if image.shape.rank is not None and image.shape.rank not in ranks:
        raise ValueError(f"The images of `{name}` must be [h, w, 3]. Received: {image.shape}")
    _check_label(label, name)


def _check_label(label: tf.TensorSpec, name: str) -> None:
    """Check that a label is one value; "binary" labels of Keras are [1] float."""
    shape = label.shape
    is_one = shape.rank in (0, None) or (shape.rank == 1 and shape[0] in (1, None))
    is_value = label.dtype.is_integer or label.dtype.is_floating or label.dtype == tf.string
    if is_one and is_value:
        return
    advice = "Map them to class ids first."
    if shape.rank == 1 and is_value:
        advice = "For one-hot labels: dataset.map(lambda image, label: (image, tf.argmax(label)))."
    elif label.dtype == tf.bool:
        advice = "dataset.map(lambda image, label: (image, tf.cast(label, tf.int32)))."
    raise ValueError(
        f"The labels of `{name}` must be one integer or string each. Received: {label}. {advice}"
    )
