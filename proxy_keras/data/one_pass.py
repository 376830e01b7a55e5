"""Functions that are traced, or compiled, once for all pipelines."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import tensorflow as tf
from tensorflow.python.eager import context

from proxy_keras.data.in_python import as_written

P = ParamSpec("P")
T = TypeVar("T")


def in_one_pass(function: Callable[P, T]) -> Callable[P, T]:
    """Return a function of tensors that XLA compiles into one pass over the images."""
    return _unless_watched(function, tf.function(function, jit_compile=True, autograph=False))


def traced_once(function: Callable[P, T]) -> Callable[P, T]:
    """Return a function of tensors whose graph is built once, not anew in each pipeline."""
    return _unless_watched(function, tf.function(function, autograph=False))


def _unless_watched(function: Callable[P, T], in_graph: Callable[P, T]) -> Callable[P, T]:
    """Return `in_graph`, or `function` while operations are watched.

    `tf.debugging.enable_check_numerics` and `enable_dump_debug_info` add operations to each
    function, which XLA does not know and which a graph that exists already lacks.
    """

    @as_written
    def call(*arguments: P.args, **options: P.kwargs) -> T:
        # TensorFlow has no public name for this.
        is_watched = bool(context.context().op_callbacks)
        return (function if is_watched else in_graph)(*arguments, **options)

    return call
