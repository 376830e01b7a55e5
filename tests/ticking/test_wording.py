"""Facts about cues in plain words, on made-up facts."""

from __future__ import annotations

import dataclasses
import math

import pytest

from proxy_keras.cues.facts import CueFacts
from proxy_keras.settings import DataConfig
from proxy_keras.ticking.journey import data_options
from proxy_keras.ticking.wording import describe, percent

FACTS = CueFacts(
    name="3",
    evidence_share=0.08,
    cell_share=0.1,
    present_in=1276,
    classes=(0.9, 0.02, 0.5, math.nan),
    leads_in=20,
    leads_wrong=0.18,
    inside=0.03,
    inside_images=122,
    purity=0.9,
    is_mixture=False,
    mistakes_share=0.2,
    correct_share=0.1,
    position=0.1,
    suspicion=0.1,
)


def test_all_facts_are_said() -> None:
    assert describe(FACTS, ["cat", "dog", "owl", "rat"], 0.05) == [
        "8% of what the network looks at.",
        "3% of it lies on the object (122 images where that is known).",
        "Where it leads, 18% of the answers are wrong (5% of all are).",
        "In 1,276 images, in 2 of 3 classes: cat, owl.",
    ]


def test_what_is_unknown_is_left_out() -> None:
    facts = dataclasses.replace(FACTS, inside=None, leads_wrong=None, present_in=1)
    assert describe(facts, None, None) == [
        "8% of what the network looks at.",
        "In 1 image, in 2 of 3 classes: 0, 2.",
    ]


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ((0.5, 0.5, 0.4), "in all 3 classes"),
        ((0.5, 0.2), "in both classes"),
        ((0.5, 0.05), "in 1 of 2 classes: 0"),
        ((0.0, 0.0), "in no class"),
        ((0.9,) * 7 + (0.0,), "in 7 of 8 classes: 0, 1, 2, 3, 4 and 2 more"),
    ],
)
def test_classes_are_named(classes: tuple[float, ...], words: str) -> None:
    facts = dataclasses.replace(FACTS, classes=classes)
    assert describe(facts, None, None)[-1] == f"In 1,276 images, {words}."


@pytest.mark.parametrize(
    ("position", "words"),
    [(0.6, "Always in the same place."), (0.3, "Mostly in the same place."), (0.2, None)],
)
def test_the_place_is_said_if_it_tells_a_cue_apart(position: float, words: str | None) -> None:
    said = describe(dataclasses.replace(FACTS, position=position), None, None)
    assert (said[-1] == words) if words else not any("place" in line for line in said)


def test_small_shares_are_not_called_zero() -> None:
    assert [percent(share) for share in (0.0, 0.001, 0.005, 0.5, 1.0)] == [
        *("0%", "<1%", "<1%", "50%", "100%")
    ]


def test_data_settings_become_options_again() -> None:
    data = DataConfig("photos", image_size=64, seed=3, val=0.2, val_shortcut=False, strict=True)
    assert data_options(data) == [
        *("--data", "photos", "--image-size", "64", "--split-seed", "3", "--val", "0.2"),
        *("--no-val-shortcut", "--strict"),
    ]
