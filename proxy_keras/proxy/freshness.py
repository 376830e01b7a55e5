"""Detection of datasets that would show stale proxies or none, or lack their weights."""

from __future__ import annotations

from proxy_keras.data.train_split import TrainSplit

_REMEDY = (
    "Pass `fit` the result of `data.train.batches(...)`, from the split given to ProxyAttention, "
    "without `repeat`, `cache`, `take` or a `steps_per_epoch` below the number of batches."
)


def check_fresh(data: TrainSplit, steps: int | None, epoch: int) -> None:
    """Check that `fit` reads all batches of this epoch and none of another.

    The pipeline must be opened once per epoch and read to its end: leftover batches would be
    served in the next epoch, and batches read ahead would show this epoch's proxies.

    Args:
        data: The training split.
        steps: Batches per epoch according to `fit`; None: unknown.
        epoch: Counted from 0.

    Raises:
        ValueError: `fit` would show stale proxies, or none, or ignore `original_weight`.
    """
    feeds = data.clock.feeds
    if len(feeds) != 1:
        raise ValueError(
            f"The training data was opened {len(feeds)} times in epoch {epoch + 1}, not once, so "
            f"it would show stale proxies or none. {_REMEDY}"
        )
    if feeds[0].is_weighted != (data.original_weight != 1.0):
        raise ValueError(
            "The training data were batched before `original_weight` was set, so it would be "
            f"ignored. Call `data.train.batches(...)` after making ProxyAttention. Received: "
            f"original_weight={data.original_weight}"
        )
    batches = -(-len(data) // feeds[0].batch_size)
    if steps is not None and steps != batches:
        raise ValueError(
            f"An epoch of {steps} steps does not read all {batches} batches of the training data: "
            f"the rest would show stale proxies. {_REMEDY}"
        )
