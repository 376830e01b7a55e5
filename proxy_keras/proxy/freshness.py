"""Detection of datasets that would show stale proxies or none, or lack their weights."""

from __future__ import annotations

from proxy_keras.data.batch_feed import BatchFeed
from proxy_keras.data.train_split import TrainSplit

_REMEDY = (
    "Pass `fit` the result of `data.train.batches(...)`, from the split given to ProxyAttention, "
    "without `repeat`, `cache`, `take` or a `steps_per_epoch` below the number of batches, and "
    "give other readers a data set of their own."
)


class FeedWatch:
    """The data set that `fit` reads, told apart from those that others open meanwhile.

    Other callbacks and `validation_data` may read the training split, too. `fit` opens its data
    set for the first batch of an epoch.

    Args:
        data: The training split.

    Attributes:
        feed: The feed of `fit`; None until the first batch of its first epoch has ended.
    """

    def __init__(self, data: TrainSplit) -> None:
        self._data = data
        self.feed: BatchFeed | None = None
        self._epoch = 0
        self._is_begun = False
        self._times_opened = 0

    def begin_training(self) -> None:
        """Forget the data set of an earlier `fit`."""
        self.feed = None

    def begin_epoch(self, epoch: int) -> None:
        """Let the data serve an epoch, counted from 0."""
        self._data.clock.begin(epoch)
        self._epoch, self._is_begun = epoch, False

    def begin_batch(self, *, is_distributed: bool) -> None:
        """Expect the data set of the epoch, if this is its first batch.

        Args:
            is_distributed: Whether `fit` has opened it already, as strategies for several devices.
        """
        if self._is_begun:
            return
        self._times_opened = 0
        if self._data.clock.feeds and not is_distributed:
            # What others have opened must not use up the epoch.
            self._data.clock.begin(self._epoch)

    def end_batch(self, steps: int | None) -> None:
        """Count how often the data set was opened so far, and `check` after the first batch."""
        feeds = self._data.clock.feeds
        if self.feed is None and feeds:
            self.feed = feeds[0]
        self._times_opened = sum(feed is self.feed for feed in feeds)
        if not self._is_begun:
            self._is_begun = True
            self.check(steps)

    def check(self, steps: int | None) -> None:
        """Check that `fit` reads all batches of this epoch and none of another.

        The pipeline must be opened once per epoch and read to its end: leftover batches would be
        served in the next epoch, and batches read ahead would show this epoch's proxies.

        Args:
            steps: Batches per epoch according to `fit`; None: unknown.

        Raises:
            ValueError: `fit` would show stale proxies, or none, or ignore `original_weight`.
        """
        data = self._data
        if self.feed is None or self._times_opened != 1:
            raise ValueError(
                f"The training data was opened {self._times_opened} times in epoch "
                f"{self._epoch + 1}, "
                f"not once, so it would show stale proxies or none. {_REMEDY}"
            )
        if self.feed.is_weighted != (data.original_weight != 1.0):
            raise ValueError(
                "The training data were batched before `original_weight` was set, so it would be "
                "ignored. Call `data.train.batches(...)` after making ProxyAttention. Received: "
                f"original_weight={data.original_weight}"
            )
        batches = -(-len(data) // self.feed.batch_size)
        if steps is not None and steps != batches:
            raise ValueError(
                f"An epoch of {steps} steps does not read all {batches} batches of the training "
                f"data: the rest would show stale proxies. {_REMEDY}"
            )
