"""One pass over images that keeps what some layers compute."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.io.progress import progress_bar
from proxy_keras.models.frozen_split import Part


def compiled(part: Part, shape: Sequence[int]) -> Any:
    """Return a part of a network as a compiled function, as in inference.

    Args:
        part: Maps batches to features [B, ...].
        shape: Of one example of a batch, such as an image [P, P, 3].

    Returns:
        A function from batches [B, *shape] float32 to features [B, ...] float32.
    """

    def features(batch: tf.Tensor) -> tf.Tensor:
        return tf.stop_gradient(tf.cast(part(batch), tf.float32))

    return tf.function(features, autograph=False).get_concrete_function(
        tf.TensorSpec([None, *shape], tf.float32)
    )


def collect(
    part: Any,
    positions: NDArray[np.int64],
    batches: Iterable[tuple[Any, ...]],
    *,
    batch_size: int,
    name: str,
    progress: bool,
) -> NDArray[np.float32]:
    """Return the features [n, ...] of some examples.

    Args:
        part: What `compiled` returned.
        positions: [n], ascending: the examples.
        batches: Tuples of their positions [B], images [B, P, P, 3], and more, in any order.
        batch_size: Examples per batch.
        name: What is passed over, for the progress bar.
        progress: Whether to show it.
    """
    features = np.empty([len(positions), *part.structured_outputs.shape[1:]], np.float32)
    total = -(-len(positions) // batch_size)
    desc = f"storing features, {name}"
    for places, images, *_ in progress_bar(
        batches, total=total, desc=desc, leave=False, shown=progress
    ):
        features[np.searchsorted(positions, places)] = part(images).numpy()
    return features
