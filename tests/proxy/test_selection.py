"""Selection of images: by rule, by share, and reproducible for the same (seed, epoch)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_keras.proxy.selection import choose

# Four classes; rows 0 and 2 are wrong. Losses, from large to small: 2, 0, 3, 1.
LOGITS = np.array([[2, 1, 0, 0], [0, 9, 0, 0], [0, 0, 8, 0], [0, 0, 0, 1]], np.float32)
LABELS = np.array([1, 1, 3, 3])


def _choose(select, subset, epoch=0, logits=LOGITS, labels=LABELS):
    return choose(select, subset, logits, labels, seed=0, epoch=epoch).tolist()


@pytest.mark.parametrize(
    ("select", "subset", "expected"),
    [
        ("wrong", 1.0, [0, 2]),
        ("loss", 0.5, [0, 2]),
        ("loss", 0.75, [0, 2, 3]),
        ("margin", 0.25, [3]),  # probabilities .48 and .17; row 0: .61 and .22
        ("margin", 0.5, [0, 3]),
        ("all", 1.0, [0, 1, 2, 3]),
    ],
)
def test_rule_and_share(select, subset, expected):
    assert _choose(select, subset) == expected


@pytest.mark.parametrize("select", ["loss", "margin"])
def test_losses_and_margins_of_independent_classes(select):
    # Sigmoids: .92, .88 and .05, .02; losses .09 + 2.13 and 3.05 + .02.
    logits = np.array([[2.4, 2.0], [-3.0, -4.0]], np.float32)
    labels = np.array([0, 0])
    assert choose(select, 0.5, logits, labels, seed=0, epoch=0).tolist() == [0]
    chosen = choose(select, 0.5, logits, labels, seed=0, epoch=0, is_multi_label=True)
    assert chosen.tolist() == [1]


def test_random_takes_as_many_as_wrong_would():
    draws = {tuple(_choose("random", 1.0, epoch)) for epoch in range(40)}
    assert {len(d) for d in draws} == {2}
    assert set().union(*map(set, draws)) == {0, 1, 2, 3}


def test_draw_is_keyed_by_epoch():
    labels = np.zeros(200, int)
    logits = np.tile(np.array([0.0, 1.0], np.float32), (200, 1))
    first, again, later = (_choose("wrong", 0.2, e, logits, labels) for e in (3, 3, 4))
    assert first == again != later
    assert len(first) == 40


def test_share_may_depend_on_the_epoch():
    assert len(_choose("all", lambda epoch: 0.25 * (epoch + 1), epoch=2)) == 3


def test_nothing_wrong_means_nothing_chosen():
    assert _choose("wrong", 0.5, labels=np.argmax(LOGITS, axis=1)) == []


def test_at_least_one_candidate_is_taken():
    assert len(_choose("wrong", 0.01)) == 1


@given(
    st.sampled_from(["wrong", "loss", "margin", "random", "all"]),
    st.floats(0.01, 1.0),
    st.integers(0, 50),
)
def test_choice_is_sorted_unique_and_within_the_split(select, subset, seed):
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=(30, 3)).astype(np.float32)
    labels = draw.integers(3, size=30)
    chosen = choose(select, subset, logits, labels, seed=seed, epoch=1)
    assert (np.diff(chosen) > 0).all() and (chosen >= 0).all() and (chosen < 30).all()
    if select == "wrong":
        assert (logits.argmax(1)[chosen] != labels[chosen]).all()


@pytest.mark.parametrize("subset", [0.0, 1.1, lambda epoch: -1.0])
def test_share_out_of_range_is_refused(subset):
    with pytest.raises(ValueError, match=r"`subset` must be in \(0, 1\]"):
        _choose("wrong", subset)
