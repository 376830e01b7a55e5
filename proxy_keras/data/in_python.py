"""Functions as steps of a tf.data pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

as_written = tf.autograph.experimental.do_not_convert
"""Marks functions that AutoGraph must not rewrite for graphs, which takes it 0.2 s for each."""


def in_python(
    function: Callable[..., Any], inputs: list[tf.Tensor], dtypes: tf.DType | list[tf.DType]
) -> Any:
    """Call a NumPy function and return its results as tensors.

    Declared stateless: within an epoch, in which the pipeline is opened once, the functions depend
    on their inputs alone. Stateful functions would make the whole pipeline sequential, without
    reading ahead, when operations are deterministic.
    """

    def call(*arrays: Any) -> Any:
        # tf.data's debug mode gives arrays without axes in place of numbers.
        return function(*(array[()] for array in arrays))

    return tf.numpy_function(call, inputs, dtypes, stateful=False)
