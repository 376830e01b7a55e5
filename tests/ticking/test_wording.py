"""Facts about cues in plain words, on made-up facts."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from proxy_keras.cues.facts import CueFacts
from proxy_keras.settings import DataConfig
from proxy_keras.ticking.examples import _deal
from proxy_keras.ticking.journey import data_options
from proxy_keras.ticking.local_access import host_name
from proxy_keras.ticking.pictures import _window, outline
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
    [(0.6, "Always at the same place."), (0.3, "Mostly at the same place."), (0.2, None)],
)
def test_the_place_is_said_if_it_tells_a_cue_apart(position: float, words: str | None) -> None:
    said = describe(dataclasses.replace(FACTS, position=position), None, None)
    assert (said[-1] == words) if words else not any("place" in line for line in said)


def test_small_shares_are_not_called_zero() -> None:
    assert [percent(share) for share in (0.0, 0.001, 0.005, 0.5, 1.0)] == [
        *("0%", "<1%", "<1%", "50%", "100%")
    ]


def test_an_outline_goes_around_the_cells() -> None:
    cells = np.array([[True, True], [False, False]])
    path = outline(cells)
    # Three sides of each of two cells; the one between them is left out.
    assert sorted(path.replace("M", "\nM").split()) == sorted(
        "M0 0h1 M1 0h1 M0 1h1 M1 1h1 M0 0v1 M2 0v1".split()
    )


@pytest.mark.parametrize(
    ("cell", "count", "start", "length"),
    # In the middle; at both edges, moved inside; a map with a single cell.
    [(5, 10, 4.0, 3.0), (0, 10, 0.0, 3.0), (9, 10, 7.0, 3.0), (0, 1, 0.0, 1.0), (1, 4, 0.75, 1.5)],
)
def test_a_crop_lies_inside_the_image(cell: int, count: int, start: float, length: float) -> None:
    assert _window(cell, count) == pytest.approx((start, length))


def test_images_are_dealt_once() -> None:
    nearest, drawn = list(range(20)), [3, 0, 7, 19, 8, 30, 31, 32, 33]
    hands = [_deal(nearest, drawn, page) for page in range(4)]
    assert hands[0] == [
        *((at, True) for at in range(6)),
        *((at, False) for at in (7, 19, 8, 30, 31, 32)),
    ]
    dealt = [at for hand in hands for at, _ in hand]
    assert sorted(dealt) == sorted(set(nearest) | set(drawn))


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("LocalHost:80", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]:8766", "::1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("a:b", "a:b"),
        ("localhost:\u00b2", "localhost:\u00b2"),
        ("", ""),
    ],
)
def test_the_name_of_a_host_header(header: str, name: str) -> None:
    assert host_name(header) == name


def test_data_settings_become_options_again() -> None:
    data = DataConfig("photos", image_size=64, seed=3, val=0.2, val_shortcut=False, strict=True)
    assert data_options(data) == [
        *("--data", "photos", "--image-size", "64", "--split-seed", "3", "--val", "0.2"),
        *("--no-val-shortcut", "--strict"),
    ]
