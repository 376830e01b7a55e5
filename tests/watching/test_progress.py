"""Tests of proxy_keras/watching/progress.py."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_keras.watching.progress import Progress, compute_progress


def told(**changes: Any) -> Progress:
    """Return the progress of a run of ten epochs: the first took 20 s, the next two 2 s each."""
    facts = {
        **{"has_begun": True, "had_begun": True, "has_ended": False},
        **{"epoch": 3, "epochs": 10, "seconds": [20.0, 2.0, 2.0]},
        **{"quiet_s": 1.0, "since_epoch_s": 1.0},
    }
    return compute_progress(**{**facts, **changes})


@pytest.mark.parametrize(
    ("changes", "phase"),
    [
        ({"has_begun": False, "had_begun": False}, "waiting"),
        ({"has_begun": False}, "gone"),
        ({"has_begun": False, "has_ended": True}, "gone"),
        ({}, "training"),
        ({"epoch": 0, "seconds": []}, "training"),
        ({"epochs": None}, "training"),
        ({"epoch": 9}, "training"),
        ({"epoch": 10}, "evaluating"),
        ({"epoch": 11}, "evaluating"),
        ({"epoch": 10, "has_ended": True}, "finished"),
        ({"has_ended": True}, "finished"),
    ],
)
def test_the_phase(changes: dict[str, Any], phase: str) -> None:
    assert told(**changes).phase == phase


@pytest.mark.parametrize(
    ("changes", "left_s"),
    [
        # Seven epochs of 2 s minus 1 s; the first epoch, with compilation, is ignored.
        ({}, 13.0),
        ({"since_epoch_s": 0.0}, 14.0),
        # An epoch that takes longer than the others may end at any moment.
        ({"since_epoch_s": 500.0}, 12.0),
        ({"epoch": 1, "seconds": [20.0]}, 179.0),
        ({"seconds": [20.0, None, 4.0]}, 27.0),
        ({"seconds": [99.0] * 5 + [3.0] * 10}, 20.0),
        ({"epoch": 0, "seconds": []}, None),
        ({"epochs": None}, None),
        ({"epoch": 10}, None),
        ({"has_ended": True}, None),
        ({"has_begun": False}, None),
    ],
)
def test_the_time_left(changes: dict[str, Any], left_s: float | None) -> None:
    assert told(**changes).left_s == left_s


@pytest.mark.parametrize(
    ("changes", "is_quiet"),
    [
        ({"quiet_s": 60.0}, False),
        ({"quiet_s": 60.1}, True),
        ({"seconds": [20.0, 30.0], "quiet_s": 90.0}, False),
        ({"seconds": [20.0, 30.0], "quiet_s": 90.1}, True),
        ({"epoch": 0, "seconds": [], "quiet_s": 600.0}, False),
        ({"epoch": 0, "seconds": [], "quiet_s": 600.1}, True),
        ({"epoch": 10, "quiet_s": 61.0}, True),
        ({"quiet_s": None}, False),
        ({"has_ended": True, "quiet_s": 9e9}, False),
        ({"has_begun": False, "quiet_s": 9e9}, False),
    ],
)
def test_when_silence_is_a_question(changes: dict[str, Any], is_quiet: bool) -> None:
    assert told(**changes).is_quiet is is_quiet


@given(
    epoch=st.integers(0, 30),
    seconds=st.lists(st.none() | st.floats(0, 1e6), max_size=30),
    since_epoch_s=st.floats(0, 1e6),
)
def test_the_time_left_is_never_more_than_that_of_the_epochs_left(
    epoch: int, seconds: list[float | None], since_epoch_s: float
) -> None:
    found = told(epoch=epoch, seconds=seconds, since_epoch_s=since_epoch_s)
    longest = max((one for one in seconds if one is not None), default=0.0)
    assert found.left_s is None or 0.0 <= found.left_s <= (10 - epoch) * longest * (1 + 1e-9)
