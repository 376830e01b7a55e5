"""The last verdict on a cue counts, and undo takes back what was said together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_keras.cues.verdicts import MIXTURE, NOT_OBJECT, OBJECT, VERDICTS, Verdicts

STATEMENTS = st.tuples(
    st.lists(st.sampled_from(["1", "2", "3a", "3b"]), max_size=3),
    st.sampled_from([*VERDICTS, None]),
)


def test_the_last_verdict_counts() -> None:
    verdicts = Verdicts().say(["1", "2"], NOT_OBJECT).say(["2"], OBJECT).say(["3"], MIXTURE)
    assert verdicts.current == {"1": "not_object", "2": "object", "3": "mixture"}
    assert verdicts.say(["1", "3"], None).current == {"2": "object"}
    assert Verdicts().current == {}


def test_undo_takes_back_what_was_said_together() -> None:
    first = Verdicts().say(["1", "2", "3"], NOT_OBJECT)
    second = first.say(["2", "3"], None)
    assert second.current == {"1": "not_object"}
    assert second.undo().current == first.current
    assert second.undo().undo() == Verdicts() == Verdicts().undo()


def test_said_is_one_pair_for_each_cue() -> None:
    verdicts = Verdicts().say(["1", "2"], NOT_OBJECT).say(["2"], None)
    assert verdicts.said == (("1", "not_object"), ("2", "not_object"), ("2", None))


@given(st.lists(STATEMENTS, max_size=6), STATEMENTS)
def test_undo_is_the_inverse_of_say(statements: list[Any], last: Any) -> None:
    verdicts = Verdicts()
    for names, verdict in statements:
        verdicts = verdicts.say(names, verdict)
    if last[0]:
        assert verdicts.say(*last).undo() == verdicts
    else:
        assert verdicts.say(*last) == verdicts


@given(st.lists(STATEMENTS, max_size=6))
def test_json_gives_the_same_verdicts(statements: list[Any]) -> None:
    verdicts = Verdicts()
    for names, verdict in statements:
        verdicts = verdicts.say(names, verdict)
    assert Verdicts.from_json(verdicts.to_json()) == verdicts


def test_json_of_one_cue_is_a_pair() -> None:
    values = [["1", "not_object"], [["2", "3"], "object"], ["1", None]]
    verdicts = Verdicts().say(["1"], NOT_OBJECT).say(["2", "3"], OBJECT).say(["1"], None)
    assert verdicts.to_json() == values


@pytest.mark.parametrize("verdict", ["", "Object", "ticked", "None", 1])
def test_other_verdicts_are_refused(verdict: Any) -> None:
    with pytest.raises(ValueError, match="must be one of object, not_object, mixture, or None"):
        Verdicts().say(["1"], verdict)


@pytest.mark.parametrize(
    "values",
    [None, {}, "1", 3, ["1"], [["1"]], [["1", "object", "2"]], [["1", "good"]], [[1, "object"]]]
    + [[[[], "object"]], [[["1", 2], "object"]], [[None, "object"]], [["1", 0]], [["1", []]]]
    + [[[["1", ["2"]], "object"]], [{"1": "object"}]],
)
def test_other_json_is_refused(values: Any) -> None:
    with pytest.raises(ValueError, match="Verdicts must be a list of pairs"):
        Verdicts.from_json(values)
