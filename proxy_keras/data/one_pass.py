"""Functions that XLA compiles into one pass over the images."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import tensorflow as tf
from tensorflow.python.eager import context

from proxy_keras.data.in_python import as_written

P = ParamSpec("P")
T = TypeVar("T")


def in_one_pass(function: Callable[P, T]) -> Callable[P, T]:
    """Return a function of tensors that XLA compiles, unless its operations are watched.

    `tf.debugging.enable_check_numerics` and `enable_dump_debug_info` add operations to each
    function that XLA does not know.
    """
    compiled = tf.function(function, jit_compile=True, autograph=False)

    @as_written
    def call(*arguments: P.args, **options: P.kwargs) -> T:
        # TensorFlow has no public name for this.
        is_watched = bool(context.context().op_callbacks)
        return (function if is_watched else compiled)(*arguments, **options)

    return call
