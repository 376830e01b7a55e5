"""EpochClock and BatchFeed: one epoch at a time, and a log for each data set."""

import numpy as np
import pytest

from proxy_keras.augment import FlipAndRotate
from proxy_keras.data.batch_feed import BatchFeed
from proxy_keras.data.epoch_clock import EpochClock


def _feed(augment=None):
    return BatchFeed(0, 2, augment)


def test_opening_without_a_driver_starts_the_next_epoch():
    clock, feed = EpochClock(), _feed()
    assert [int(clock.open(feed)) for _ in range(3)] == [0, 1, 2]
    clock.begin(7)
    assert clock.feeds == []
    assert [int(clock.open(feed)) for _ in range(2)] == [7, 8]
    assert clock.feeds == [feed, feed] and feed.epoch == clock.epoch == 8


def test_a_data_set_that_is_opened_starts_its_own_log_only():
    clock, one, other = EpochClock(), _feed(), _feed()
    clock.open(one)
    one.positions[0] = np.array([4, 1])
    clock.open(other)
    assert list(one.positions) == [0] and other.positions == {}
    clock.begin(1)
    clock.open(one)
    assert one.positions == {} and (one.epoch, other.epoch) == (1, 1)


def test_each_data_set_undoes_its_own_augmentation():
    heatmaps = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    plain, flipped = _feed(), _feed(FlipAndRotate(flip=1.0, degrees=0.0))
    np.testing.assert_array_equal(plain.undo(heatmaps, 0), heatmaps)
    np.testing.assert_array_equal(flipped.undo(heatmaps, 0), heatmaps[:, :, ::-1])


def test_an_augmentation_that_cannot_be_undone_is_named():
    _feed().check_undoable()
    _feed(FlipAndRotate()).check_undoable()
    with pytest.raises(ValueError, match="cannot be undone: it has no method undo"):
        _feed(lambda images, labels, seed: (images, labels)).check_undoable()
