"""EpochClock: which epoch the training split is in, and which data sets were opened in it."""

from __future__ import annotations

import threading

import numpy as np

from proxy_keras.data.batch_feed import BatchFeed


class EpochClock:
    """The current epoch of a training split; threads of tf.data read it.

    Attributes:
        epoch: The current epoch, counted from 0. It keys order, augmentation and draws.
        feeds: The feeds of the data sets opened since `begin`, in order.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.feeds: list[BatchFeed] = []
        self._is_begun = False
        self._was_opened = False
        self._lock = threading.Lock()

    def begin(self, epoch: int) -> None:
        """Set the current epoch."""
        with self._lock:
            self.epoch = epoch
            self.feeds = []
            self._is_begun = True

    def open(self, feed: BatchFeed) -> np.int64:
        """Return the epoch of a data set that is being opened, and start its log.

        It is the one that `begin` set. Opened again without a new `begin` (training without a
        callback that sets the epoch), it is one more each time.
        """
        with self._lock:
            if not self._is_begun and self._was_opened:
                self.epoch += 1
            self._is_begun = False
            self._was_opened = True
            self.feeds.append(feed)
            feed.open(self.epoch)
            return np.int64(self.epoch)
