"""Patches of Keras for training on several devices, applied only where needed.

Keras 3.15 cannot `fit` under `tf.distribute.MultiWorkerMirroredStrategy` (Keras issue 20585):

1. To get the shape of a batch, `_maybe_symbolic_build` averages the parts of the replicas. That
   fails across workers, and if the parts differ in size. Patch: use the first part.
2. `reduce_per_replica` averages the results of a step along their first axis, which scalars do not
   have. Patch: average scalars without an axis.

Whether a patch is needed is decided by testing what Keras does, not by its version. A Keras without
the bug, or with other functions, is not patched. Delete this file when the oldest supported Keras
needs neither patch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import keras
import tensorflow as tf

try:
    from keras.src.backend.tensorflow import trainer
except ImportError:
    trainer = None


@contextmanager
def patched(model: keras.Model) -> Iterator[None]:
    """Let Keras train a model that was built under a strategy; a context manager."""
    with ExitStack() as undo:
        if averages_batches():
            model._maybe_symbolic_build = _build_from_first_part(model)
            undo.callback(delattr, model, "_maybe_symbolic_build")
        if averages_scalars_along_an_axis():
            undo.callback(setattr, trainer, "reduce_per_replica", trainer.reduce_per_replica)
            trainer.reduce_per_replica = _averaging_scalars(trainer.reduce_per_replica)
        yield


def averages_batches() -> bool:
    """Return whether patch 1 is needed: Keras averages a batch over replicas for its shape."""
    strategy = _RecordingStrategy()
    model = SimpleNamespace(
        _distribute_strategy=strategy,
        distribute_strategy=strategy,
        _symbolic_build=lambda **kwargs: None,
    )
    parts = _TwoParts()
    try:
        keras.Model._maybe_symbolic_build(model, iterator=iter([(0, 0, iter([(parts, parts)]))]))
    except (AttributeError, TypeError):
        return False
    return bool(strategy.axes)


def averages_scalars_along_an_axis() -> bool:
    """Return whether patch 2 is needed: scalars of several workers are averaged along axis 0."""
    strategy = _RecordingStrategy()
    try:
        trainer.reduce_per_replica(tf.constant(1.0), strategy, "auto")
    except (AttributeError, TypeError):
        return False
    return 0 in strategy.axes


class _TwoParts(tf.distribute.DistributedValues):
    """A batch of three examples split between two replicas."""

    values = (tf.TensorSpec([2, 1]), tf.TensorSpec([1, 1]))


class _RecordingStrategy(tf.distribute.MultiWorkerMirroredStrategy):
    """A fake multi-worker strategy that records the axes it is asked to reduce."""

    def __init__(self) -> None:
        # Without `super().__init__`, which would connect to other workers.
        self.axes: list[int | None] = []
        self._extended = SimpleNamespace(_in_multi_worker_mode=lambda: True)

    def reduce(self, reduce_op: Any, value: Any, axis: int | None = None) -> Any:
        self.axes.append(axis)
        return value

    def experimental_local_results(self, value: Any) -> tuple[Any, ...]:
        return getattr(value, "values", (value,))

    @contextmanager
    def scope(self) -> Iterator[None]:
        yield


def _build_from_first_part(model: keras.Model) -> Callable[..., None]:
    strategy = model.distribute_strategy

    def build(iterator: Any = None, data_batch: Any = None) -> None:
        if iterator is not None:
            _, _, batches = next(iter(iterator))
            data_batch = keras.tree.map_structure(
                lambda part: strategy.experimental_local_results(part)[0], next(batches)
            )
        with strategy.scope():
            model._symbolic_build(data_batch=data_batch)

    return build


def _averaging_scalars(reduce: Callable[..., Any]) -> Callable[..., Any]:
    def reduce_per_replica(values: Any, strategy: Any, reduction: str) -> Any:
        is_multi_worker = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        if reduction not in ("auto", "mean") or not is_multi_worker:
            return reduce(values, strategy, reduction)

        def mean(value: Any) -> Any:
            if strategy.experimental_local_results(value)[0].shape.rank == 0:
                return strategy.reduce("MEAN", value, axis=None)
            return reduce(value, strategy, reduction)

        return keras.tree.map_structure(mean, values)

    return reduce_per_replica
