"""Schedules rescaled to other numbers of epochs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_keras.settings.schedule import parse
from tuner.scaled_schedule import has_steps, rescale


@pytest.mark.parametrize(
    ("schedule", "epochs", "expected"),
    [
        ("5,p,9,p,4", 20, "5,p,9,p,4"),
        ("5,p,9,p,4", 7, "1,p,3,p,1"),
        ("5,p,9,p,9,p,9,p,4", 20, "2,p,4,p,4,p,4,p,2"),
        ("5,p,9,p,4", 2, "p,1"),
        ("20,p,19", 80, "41,p,38"),
        ("40", 10, "10"),
        ("2,p,c,3", 12, "5,p,c,6"),
        ("8,p,5,c,6", 10, "4,p,2,c,3"),
        ("every:5", 20, "every:5"),
        ("every:5", 3, "every:1"),
        ("every:3,finish:0.2", 40, "every:6,finish:0.2"),
        ("plateau:4", 10, "plateau:2,min_delta:0.0"),
    ],
)
def test_steps_stay_at_their_share(schedule: str, epochs: int, expected: str) -> None:
    assert rescale(schedule, made_for=20, epochs=epochs) == expected


@given(
    st.lists(st.sampled_from([1, 3, 8, "p", "c"]), min_size=1, max_size=8),
    st.integers(min_value=1, max_value=60),
)
def test_what_is_scaled_fits(parts: list[int | str], epochs: int) -> None:
    text = ",".join(map(str, parts))
    if set(parts) == {"c"}:
        return
    fitting = rescale(text, made_for=20, epochs=epochs)
    has_steps(fitting, epochs)
    assert fitting.count("p") <= text.count("p")
    assert str(parse(fitting)) == fitting


def test_has_steps() -> None:
    assert has_steps("p,1", 2) and has_steps("every:1", 2) and has_steps("plateau:2", 3)
    assert not has_steps("1,p", 2) and not has_steps("every:5", 5) and not has_steps("2", 2)
    assert not has_steps("plateau:3", 3)
    with pytest.raises(ValueError, match="has 3 epochs"):
        has_steps("1,p,1", 4)
