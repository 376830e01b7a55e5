"""What is said and recorded of deterministic operations, by epoch."""

import pytest

from proxy_keras.training.determinism import resume_note, summary


@pytest.mark.parametrize(
    ("epochs", "word"), [([True] * 2, "on"), ([False], "off"), ([True, False, True], "mixed")]
)
def test_a_run_is_summed_up_in_a_word(epochs, word):
    assert summary(epochs) == word


@pytest.mark.parametrize(
    ("epochs", "now", "start"),
    [
        ([False, False], False, "Op determinism is off: the weights will not equal"),
        ([True], False, "Op determinism was on so far and is off now: the weights"),
        ([False], True, "Op determinism was off so far and is on now: the weights"),
        ([False, True], True, "Op determinism was mixed so far and is on now: the weights"),
    ],
)
def test_a_resumed_run_says_what_it_cannot_promise(epochs, now, start):
    assert resume_note(epochs, now=now).startswith(start)


def test_a_deterministic_run_has_nothing_to_say():
    assert resume_note([True, True], now=True) is None
