"""Op determinism of a training run: switched on by its settings, recorded per epoch."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from tensorflow.python.framework.config import is_op_determinism_enabled

from proxy_keras.settings import TrainConfig

ON, OFF, MIXED = "on", "off", "mixed"


def set_determinism(config: TrainConfig) -> None:
    """Make TensorFlow's operations deterministic in the whole process, if the settings say so.

    A process in which they are deterministic already stays so.
    """
    if config.determinism:
        tf.config.experimental.enable_op_determinism()


def is_deterministic() -> bool:
    """Return whether operations are deterministic in this process."""
    return bool(is_op_determinism_enabled())


def summary(epochs: Sequence[bool]) -> str:
    """Return `on`, `off` or `mixed`, as `op_determinism` in `metrics.json`.

    Args:
        epochs: Whether operations were deterministic, by epoch; not empty.
    """
    return MIXED if len(set(epochs)) > 1 else ON if epochs[0] else OFF


def resume_note(epochs: Sequence[bool], *, now: bool) -> str | None:
    """Return what a resumed run cannot promise; None if it ends with the bits of an unbroken one.

    Args:
        epochs: Whether operations were deterministic in the completed epochs; not empty.
        now: Whether they are in the epochs to come.
    """
    before, after = summary(epochs), ON if now else OFF
    if before == after == ON:
        return None
    what = f"is {after}" if before == after else f"was {before} so far and is {after} now"
    return (
        f"Op determinism {what}: the weights will not equal those of an uninterrupted run bit for "
        "bit."
    )
