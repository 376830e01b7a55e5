"""ProxyStore: training ids only, replaces and never adds, and one epoch at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.data.proxy_store import ProxyStore

IDS = [f"train-{n}" for n in range(6)]


def _map(value, shape=(2, 2)):
    return np.full((1, *shape), value, np.float32)


def _put(store, id_, value, *, epoch=0, threshold=0.5):
    store.put([id_], _map(value), np.array([threshold], np.float32), epoch=epoch)


def _values(store, positions=range(6)):
    """{position: value of its map} of what is shown."""
    shown = store.look_up(np.array(list(positions)))
    return {
        p: round(float(m[0, 0]), 2)
        for p, is_proxy, m in zip(positions, shown.is_proxy, shown.heatmaps, strict=True)
        if is_proxy
    }


def test_a_proxy_is_found_at_its_place_in_the_batch():
    store = ProxyStore(IDS, seed=0)
    store.put(
        ["train-4", "train-1"],
        np.stack([np.eye(2), np.ones((2, 2))]).astype(np.float32),
        np.array([0.4, 0.1], np.float32),
        epoch=0,
    )
    shown = store.look_up(np.array([5, 4, 0, 1]))
    np.testing.assert_array_equal(shown.is_proxy, [False, True, False, True])
    original = np.zeros((2, 2))
    np.testing.assert_array_equal(shown.heatmaps, [original, np.eye(2), original, np.ones((2, 2))])
    np.testing.assert_allclose(shown.thresholds, [np.inf, 0.4, np.inf, 0.1])


def test_a_later_map_replaces_the_earlier_one():
    store = ProxyStore(IDS, seed=0)
    _put(store, "train-1", 0.2)
    _put(store, "train-3", 0.6)
    _put(store, "train-1", 0.8)
    assert len(store) == 2
    assert _values(store) == {1: 0.8, 3: 0.6}


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1).filter(lambda id_: id_ not in IDS))
def test_no_other_id_can_enter(stranger):
    store = ProxyStore(IDS, seed=0)
    with pytest.raises(ValueError, match="is not a training id"):
        store.put(["train-0", stranger], np.ones((2, 2, 2), np.float32), np.ones(2), epoch=0)
    assert len(store) == 0


def test_clear_and_expire():
    store = ProxyStore(IDS, seed=0)
    _put(store, "train-0", 1.0, epoch=2)
    _put(store, "train-1", 1.0, epoch=5)
    store.expire(born_before=3)
    assert store.example_ids == ["train-1"]
    store.clear()
    assert _values(store) == {}


@pytest.mark.parametrize(
    ("heatmaps", "thresholds", "message"),
    [
        (np.ones((2, 2, 2)), np.ones(1), r"must be \[1, h, w\]"),
        (np.ones((1, 2)), np.ones(1), r"must be \[1, h, w\]"),
        (np.full((1, 2, 2), 1.5), np.ones(1), r"must be in \[0, 1\]"),
        (np.full((1, 2, 2), np.nan), np.ones(1), r"must be in \[0, 1\]"),
    ],
)
def test_bad_maps_are_refused(heatmaps, thresholds, message):
    with pytest.raises(ValueError, match=message):
        ProxyStore(IDS, seed=0).put(["train-0"], heatmaps, thresholds, epoch=0)


def test_maps_of_another_size_are_refused_and_nothing_is_lost():
    store = ProxyStore(IDS, seed=0)
    _put(store, "train-0", 0.4)
    with pytest.raises(ValueError, match=r"holds maps of \(2, 2\) cells. Received: \(3, 3\)"):
        store.put(["train-1"], _map(1.0, (3, 3)), np.ones(1, np.float32), epoch=0)
    assert _values(store) == {0: 0.4}


def test_ids_must_be_unique():
    with pytest.raises(ValueError, match="unique training ids"):
        ProxyStore(["a", "a"], seed=0)
    with pytest.raises(ValueError, match="given twice"):
        ProxyStore(["a"], seed=0).put(["a", "a"], np.ones((2, 1, 1)), np.ones(2), epoch=0)


def test_show_draws_anew_each_epoch_and_keeps_the_proxies():
    ids = [str(n) for n in range(1000)]
    store = ProxyStore(ids, seed=0)
    store.put(ids, np.ones((1000, 1, 1), np.float32), np.ones(1000, np.float32), epoch=0)
    shown = []
    for epoch in (1, 2, 1):
        store.begin_epoch(epoch, show=0.5)
        shown.append(set(np.flatnonzero(store.look_up(np.arange(1000)).is_proxy).tolist()))
    assert 430 < len(shown[0]) < 570 and shown[0] == shown[2] != shown[1]
    store.begin_epoch(3, show=0.0)
    assert not store.look_up(np.arange(1000)).is_proxy.any() and len(store) == 1000


def test_opening_without_a_driver_goes_on_to_the_next_epoch():
    store = ProxyStore(IDS, seed=0)
    assert [int(store.open_epoch()) for _ in range(3)] == [0, 1, 2]
    store.begin_epoch(7)
    assert store.openings == 0 and store.looked_up == {}
    assert [int(store.open_epoch()) for _ in range(2)] == [7, 8]
    assert store.openings == 2
    # Batches may be looked up side by side, in any order.
    for batch, positions in ((1, [3]), (0, [4, 1, 2])):
        store.look_up(np.array(positions), batch)
    assert {batch: found.tolist() for batch, found in store.looked_up.items()} == {
        0: [4, 1, 2],
        1: [3],
    }


def test_state_reads_back():
    store, other = ProxyStore(IDS, seed=0), ProxyStore(IDS, seed=0)
    _put(store, "train-4", 0.4, epoch=3, threshold=0.25)
    _put(store, "train-2", 0.2, epoch=1)
    other.set_state(store.get_state())
    assert _values(other) == {2: 0.2, 4: 0.4}
    other.expire(born_before=2)
    assert other.example_ids == ["train-4"]
    with pytest.raises(ValueError, match="there are 3 training ids"):
        ProxyStore(IDS[:3], seed=0).set_state(store.get_state())
