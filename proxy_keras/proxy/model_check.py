"""A check that a model takes the images of the data, as a proxy step passes them to it."""

from __future__ import annotations

import keras
import tensorflow as tf

from proxy_keras.data.train_split import TrainSplit


def check_model(model: keras.Model, data: TrainSplit, *, reads_images: bool) -> None:
    """Check a model against the data before training.

    A proxy step passes the original images to the model. What `fit` gets may have been changed,
    as by `batches.map(...)`, and does not show whether the model takes the originals.

    Args:
        model: The model. One that is not built yet is not checked.
        data: The training split.
        reads_images: Whether proxy steps pass images to the model.

    Raises:
        ValueError: The model takes images of another size or number of channels, or has fewer
            outputs than the data have classes.
    """
    if not model.built:
        return
    given = (data.image_size, data.image_size, 3)
    shape = getattr(model, "input_shape", None)
    takes = None if not isinstance(shape, tuple) else tf.TensorShape(shape[1:])
    if reads_images and takes is not None and not takes.is_compatible_with(given):
        raise ValueError(
            f"The model takes images {takes.as_list()}, and the data have {list(given)}, which "
            "proxy steps pass to the model. Put the change into the model instead of "
            "`batches.map(...)`: start it with keras.Input"
            f"({given}), followed by keras.layers.Resizing, or by a keras.layers.Lambda or "
            "keras.ops that reduce the channels."
        )
    outputs = getattr(model, "output_shape", None)
    count = outputs[-1] if isinstance(outputs, tuple) else None
    if count is not None and count < len(data.classes):
        raise ValueError(
            f"The model has {count} outputs, and the data have {len(data.classes)} classes. Build "
            "it with one output per class."
        )
