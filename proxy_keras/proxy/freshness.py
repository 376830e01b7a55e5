"""Stops a training whose data would show stale proxies, or none."""

from __future__ import annotations

from proxy_keras.data.train_split import TrainSubset

_REMEDY = (
    "Give `fit` the result of `data.train.batches(...)` of the split that ProxyAttention has, "
    "without `repeat`, `cache`, `take` or a `steps_per_epoch` below the number of batches."
)


def check_fresh(data: TrainSubset, steps: int | None, epoch: int) -> None:
    """Returns if `fit` reads batches that are made in their own epoch, all of them.

    A pipeline must be opened once in each epoch, and be read to its end in it: what is left over
    would be served in the next epoch, and what is read ahead has been made in this one.

    Args:
        data: The training split.
        steps: Batches of the epoch, as `fit` counts them; None: it does not.
        epoch: Counted from 0.

    Raises:
        ValueError: It does not.
    """
    feeds = data.clock.feeds
    if len(feeds) != 1:
        raise ValueError(
            f"The training data were opened {len(feeds)} times in epoch {epoch + 1}, not once, so "
            f"it would show stale proxies or none. {_REMEDY}"
        )
    batches = -(-len(data) // feeds[0].batch_size)
    if steps is not None and steps != batches:
        raise ValueError(
            f"An epoch of {steps} steps does not read the training data, which have {batches} "
            f"batches, to their end: the rest would be served stale. {_REMEDY}"
        )
