"""ProxyStore: training examples only, replaces and never adds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.data.proxy_store import ProxyStore
from proxy_keras.heatmaps.eight_bit import NEVER_HOT

N = 6


def _map(value, shape=(2, 2)):
    return np.full((1, *shape), round(value * 255), np.uint8)


def _put(store, position, value, *, epoch=0, threshold=0.5):
    thresholds = np.array([threshold], np.float32)
    store.put(np.array([position]), _map(value), thresholds, epoch=epoch)


def _values(store, positions=range(6)):
    """{position: value of its map} of what is shown."""
    shown = store.look_up(np.array(list(positions)))
    return {
        p: round(float(m[0, 0]), 2)
        for p, is_proxy, m in zip(positions, shown.is_proxy, shown.heatmaps, strict=True)
        if is_proxy
    }


def test_a_proxy_is_found_at_its_place_in_the_batch():
    store = ProxyStore(N, seed=0)
    store.put(
        np.array([4, 1]),
        255 * np.stack([np.eye(2), np.ones((2, 2))]).astype(np.uint8),
        np.array([0.4, 0.1], np.float32),
        epoch=0,
    )
    shown = store.look_up(np.array([5, 4, 0, 1]))
    np.testing.assert_array_equal(shown.is_proxy, [False, True, False, True])
    original = np.zeros((2, 2))
    np.testing.assert_array_equal(shown.heatmaps, [original, np.eye(2), original, np.ones((2, 2))])
    np.testing.assert_allclose(shown.thresholds, [NEVER_HOT, 0.4, NEVER_HOT, 0.1])


def test_a_later_map_replaces_the_earlier_one():
    store = ProxyStore(N, seed=0)
    _put(store, 1, 0.2)
    _put(store, 3, 0.6)
    _put(store, 1, 0.8)
    assert len(store) == 2
    assert _values(store) == {1: 0.8, 3: 0.6}


@settings(max_examples=50, deadline=None)
@given(st.integers(-100, 100).filter(lambda position: not 0 <= position < N))
def test_no_other_example_can_enter(stranger):
    store = ProxyStore(N, seed=0)
    maps = np.full((2, 2, 2), 255, np.uint8)
    with pytest.raises(ValueError, match="at positions 0 to 5. Received: positions"):
        store.put(np.array([0, stranger]), maps, np.ones(2, np.float32), epoch=0)
    assert len(store) == 0


def test_a_chance_of_its_own_replaces_show_except_when_nothing_is_shown():
    store = ProxyStore(N, seed=0)
    store.put(
        np.arange(4),
        np.full((4, 1, 1), 255, np.uint8),
        np.full([4], 0.5, np.float32),
        epoch=-1,
        chances=np.array([1.0, 0.0, np.nan, 0.5], np.float32),
    )
    restored = ProxyStore(N, seed=0)
    restored.set_state(store.get_state())
    counts = np.zeros(N)
    for epoch in range(200):
        restored.draw_shown(epoch, show=1.0)
        counts += restored.look_up(np.arange(N)).is_proxy
    assert counts[[0, 1, 2, 4, 5]].tolist() == [200, 0, 200, 0, 0]
    assert 70 < counts[3] < 130
    restored.draw_shown(0, show=0.0)
    shown = restored.look_up(np.arange(N))
    assert not shown.is_proxy.any()
    assert shown.stays_original.tolist() == [True] * 4 + [False] * 2


def test_clear_and_expire():
    store = ProxyStore(N, seed=0)
    _put(store, 0, 1.0, epoch=2)
    _put(store, 1, 1.0, epoch=5)
    store.expire(born_before=3)
    assert store.positions.tolist() == [1]
    store.clear()
    assert _values(store) == {}


@pytest.mark.parametrize(
    ("heatmaps", "thresholds"),
    [
        (np.ones((2, 2, 2), np.uint8), np.ones(1)),
        (np.ones((1, 2), np.uint8), np.ones(1)),
        (np.ones((1, 2, 2), np.uint8), np.ones(2)),
        (np.ones((1, 2, 2), np.float32), np.ones(1)),
    ],
)
def test_bad_maps_are_refused(heatmaps, thresholds):
    with pytest.raises(ValueError, match=r"must be \[1, h, w\] uint8 and `thresholds` \[1\]"):
        ProxyStore(N, seed=0).put(np.array([0]), heatmaps, thresholds, epoch=0)


def test_maps_of_another_size_are_refused_and_nothing_is_lost():
    store = ProxyStore(N, seed=0)
    _put(store, 0, 0.4)
    with pytest.raises(ValueError, match=r"holds maps of \(2, 2\) cells. Received: \(3, 3\)"):
        store.put(np.array([1]), _map(1.0, (3, 3)), np.ones(1, np.float32), epoch=0)
    assert _values(store) == {0: 0.4}


def test_positions_must_be_unique():
    maps = np.ones((2, 1, 1), np.uint8)
    with pytest.raises(ValueError, match="given twice"):
        ProxyStore(N, seed=0).put(np.array([1, 1]), maps, np.ones(2, np.float32), epoch=0)


def test_show_draws_anew_each_epoch_and_keeps_the_proxies():
    store = ProxyStore(1000, seed=0)
    maps = np.full((1000, 1, 1), 255, np.uint8)
    store.put(np.arange(1000), maps, np.ones(1000, np.float32), epoch=0)
    shown = []
    for epoch in (1, 2, 1):
        store.draw_shown(epoch, show=0.5)
        shown.append(set(np.flatnonzero(store.look_up(np.arange(1000)).is_proxy).tolist()))
    assert 430 < len(shown[0]) < 570 and shown[0] == shown[2] != shown[1]
    store.draw_shown(3, show=0.0)
    assert not store.look_up(np.arange(1000)).is_proxy.any() and len(store) == 1000


def test_state_reads_back():
    store, other = ProxyStore(N, seed=0), ProxyStore(N, seed=0)
    _put(store, 4, 0.4, epoch=3, threshold=0.25)
    _put(store, 2, 0.2, epoch=1)
    other.set_state(store.get_state())
    assert _values(other) == {2: 0.2, 4: 0.4}
    other.expire(born_before=2)
    assert other.positions.tolist() == [4]
    with pytest.raises(ValueError, match="of the 3 training images"):
        ProxyStore(3, seed=0).set_state(store.get_state())
