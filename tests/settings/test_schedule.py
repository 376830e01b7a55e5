"""Schedules: the epochs with a step, and the errors for schedules that do not fit."""

import math
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_keras.settings.schedule import (
    Every,
    Plan,
    Plateau,
    Segments,
    every,
    parse,
    plateau,
    start,
)


def test_segments_put_a_step_at_the_end_of_each_p_epoch():
    # epochs 0-4 plain, 5 is p, 6-14 plain, 15 is p, 16-19 plain
    assert parse("5,p,9,p,4").plan(20) == Plan(frozenset({5, 15}), frozenset())


def test_list_and_text_are_the_same_schedule():
    assert parse([5, "p", 9, "p", 4]) == parse("5,p, 9,p,4") == Segments((5, "p", 9, "p", 4))


def test_a_start_is_a_step_before_the_first_epoch_and_originals_at_the_end():
    assert parse("start,finish:0.2").plan(10) == Plan(frozenset({-1}), frozenset({8}))
    assert start(finish=0.2) == parse("start,finish:0.2")
    assert parse("start").plan(10) == Plan(frozenset({-1}), frozenset())


def test_clear_takes_no_epoch():
    assert parse("2,p,3,c,2").plan(8) == Plan(frozenset({2}), frozenset({6}))


def test_sum_must_equal_the_epochs():
    with pytest.raises(ValueError, match="has 20 epochs .* but training has 10.*epochs=20"):
        parse("5,p,9,p,4").plan(10)


@pytest.mark.parametrize(
    "text",
    ["", "5,q,4", "0,p", "-1", "5,,4", "1.5,p", "p:3", "every:x", "start:3", "start,every:3"],
)
def test_unreadable_schedules_are_refused(text):
    with pytest.raises(ValueError, match="[Ss]chedule"):
        parse(text)


def test_a_step_whose_proxies_are_never_used_warns():
    with pytest.warns(UserWarning, match="after epoch 4 are never used"):
        parse("3,p").plan(4)
    with pytest.warns(UserWarning, match="after epoch 1 are never used"):
        parse("p,c,3").plan(4)
    with pytest.warns(UserWarning, match="'every:5' makes no proxies in 5 epochs"):
        parse("every:5").plan(5)


def test_every_third_epoch_with_a_finish_on_originals():
    assert every(3, finish=0.2).plan(15) == Plan(frozenset({2, 5, 8}), frozenset({12}))


def test_every_makes_no_step_that_nothing_trains_on():
    assert every(5).plan(10) == Plan(frozenset({4}), frozenset())


@given(
    st.lists(st.one_of(st.integers(1, 9), st.just("p"), st.just("c")), min_size=1).filter(
        lambda parts: (
            parts[-1] not in ("p", "c") and ("p", "c") not in zip(parts, parts[1:], strict=False)
        )
    )
)
def test_segments_cover_exactly_their_sum(parts):
    epochs = sum(p if isinstance(p, int) else p == "p" for p in parts)
    plan = parse(parts).plan(epochs)
    assert len(plan.steps) == parts.count("p")
    assert all(0 <= e < epochs - 1 for e in plan.steps)
    assert parse(str(parse(parts))) == parse(parts)
    with pytest.raises(ValueError):
        parse(parts).plan(epochs + 1)


@given(st.integers(1, 8), st.floats(0, 0.9), st.integers(1, 60))
def test_every_step_is_trained_on_before_the_finish(n, finish, epochs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # if there is no step at all
        plan = Every(n, finish).plan(epochs)
        assert parse(str(Every(n, finish))).plan(epochs) == plan
    end = min(plan.clears, default=epochs)
    assert all((step + 1) % n == 0 and step < end - 1 for step in plan.steps)
    assert math.isclose(end, epochs - math.ceil(finish * epochs - 1e-9))


@pytest.mark.parametrize(
    "text",
    [
        "every:3",
        "every:3,finish:0.2",
        "start",
        "start,finish:0.2",
        "plateau:2,min_delta:0.01",
        "plateau:1,min_delta:0.0",
    ],
)
def test_a_schedule_is_restored_from_its_text(text):
    assert str(parse(text)) == text
    assert parse(str(parse(text))) == parse(text)


def _due(schedule, losses):
    plan = schedule.plan(len(losses))
    return [e for e, x in enumerate(losses) if schedule.is_due(e, plan, {"val_loss": x})]


def test_plateau_fires_after_patience_and_restarts_its_count():
    # best 1.0 at epoch 1; no decrease of 0.1 in epochs 2 and 3 -> step; nor in 4 and 5 -> step
    assert _due(plateau(2, 0.1), [2.0, 1.0, 0.95, 0.95, 1.0, 1.0, 0.5, 0.5]) == [3, 5]


def test_plateau_resumes_from_its_state():
    losses = [2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5]
    whole = _due(plateau(2), losses)
    first, second = plateau(2), plateau(2)
    begun = _due(first, losses[:3])
    second.set_state(first.get_state())
    assert whole == begun + [3 + e for e in _due(second, losses[3:])]


def test_plateau_forgets_and_is_not_shared():
    schedule = plateau(2)
    copy = parse(schedule)
    assert _due(schedule, [1.0, 1.0]) == [] and _due(copy, [3.0, 3.0, 2.9]) == []
    schedule.reset()
    assert _due(schedule, [2.0, 2.0]) == []


@pytest.mark.parametrize("schedule", [None, 5.0, {"p": 1}])
def test_other_types_are_refused(schedule):
    with pytest.raises(
        ValueError, match="A schedule must be a string, a list or a schedule object"
    ):
        parse(schedule)


@pytest.mark.parametrize(
    ("monitor", "logs"),
    [("val_los", {"loss": 0.5, "val_loss": 0.5}), ("val_loss", {"val_accuracy": 0.5}), ("l", {})],
)
def test_plateau_names_a_missing_monitor(monitor, logs):
    schedule = Plateau(1, monitor=monitor)
    with pytest.raises(ValueError, match=f"'{monitor}', which is not logged"):
        schedule.is_due(0, schedule.plan(1), logs)


def test_plateau_does_not_count_epochs_without_validation():
    schedule = plateau(2)
    plan = schedule.plan(9)
    losses = [None, 2.0, None, None, 2.0, None, 2.0, None]
    logs = [{"loss": 1.0} | ({} if v is None else {"val_loss": v}) for v in losses]
    assert [n for n, one in enumerate(logs) if schedule.is_due(n, plan, one)] == [6]


@pytest.mark.parametrize(
    "make",
    [lambda: every(0), lambda: every(1, finish=1.0), lambda: plateau(0), lambda: plateau(1, -1)],
)
def test_numbers_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="Received"):
        make()
