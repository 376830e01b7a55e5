"""Each fact about a cue, on images of four cells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from proxy_keras.cues import facts as module
from proxy_keras.cues.facts import CueFacts, FactFinder, _suspicion
from tests.cues import small_cues
from tests.cues.small_cues import examined

MAPS = [[0, 0, 1, 2], [2, 2, 2, 2], [1, 1, 0, 0], [2, 0, 0, 0]]
EVIDENCE = [[255, 0, 51, 204], [0, 0, 0, 0], [255, 45, 0, 0], [230, 25, 0, 0]]
# Shares of cue 1 (clusters 0 and 1) and cue 2 (cluster 2):
# 0.6 and 0.4; 0 and 0; 1 and 0; 0.098 and 0.902.


def facts(name: str, *roots: int, classes: int = 2, **others: Any) -> CueFacts:
    images = examined(MAPS, EVIDENCE, **others)
    return FactFinder(small_cues.tree(*roots), images, classes).facts(name)


def test_shares_are_those_of_images_with_evidence() -> None:
    assert facts("1").evidence_share == pytest.approx((0.6 + 1 + 25 / 255) / 3)
    assert facts("2").evidence_share == pytest.approx((0.4 + 230 / 255) / 3)
    assert facts("1a").evidence_share == pytest.approx((0.5 + 25 / 255) / 3)
    assert facts("1").cell_share == 10 / 16
    assert facts("1b").cell_share == 3 / 16


def test_cells_without_features_are_no_share_of_a_cue() -> None:
    similarity = np.full([4, 4], 9)
    similarity[3, 1:] = 0
    assert facts("1", similarity=similarity).cell_share == 7 / 16


def test_present_from_a_tenth_of_the_evidence() -> None:
    assert module.PRESENT == 0.1
    assert facts("1").present_in == 2
    assert facts("2").present_in == 2


def test_presence_by_class_uses_the_prediction_where_there_is_no_label() -> None:
    found = facts("2", classes=3, labels=[0, 0, -1, -1], predictions=[1, 1, 1, 1])
    assert found.classes[:2] == (0.5, 0.5) and math.isnan(found.classes[2])
    assert facts("1", classes=3, labels=[2, 2, 2, 0]).classes[::2] == (0.0, 2 / 3)


def test_a_cue_leads_where_it_holds_most_evidence() -> None:
    assert facts("1").leads_in == 2
    assert facts("2").leads_in == 1
    # 0.5 against 0.4 of cue 2; its sibling and its parent are not compared.
    assert facts("1a").leads_in == 1
    assert facts("1b").leads_in == 1


def test_mistakes_where_it_leads() -> None:
    assert facts("1", predictions=[1, 0, 0, 0]).leads_wrong == 0.5
    assert facts("2", predictions=[1, 0, 0, 1]).leads_wrong == 1.0
    assert facts("1", labels=[-1] * 4).leads_wrong is None
    assert facts("1", predictions=[1, 0, 0, 0], labels=[0, 0, -1, 0]).leads_wrong == 1.0


def test_mistakes_are_counted_on_held_out_images_where_there_are_some() -> None:
    held_out = {"is_held_out": [False, True, True, False], "predictions": [1, 0, 0, 1]}
    assert facts("1", **held_out).leads_wrong == 0.0
    assert facts("2", **held_out).leads_wrong is None
    assert facts("2", **held_out).mistakes_share is None
    # Held-out images without a label do not count as such.
    unknown = {**held_out, "labels": [0, -1, -1, 0]}
    assert facts("1", **unknown).leads_wrong == 1.0


def test_share_in_mistakes_and_in_correct_images() -> None:
    found = facts("2", predictions=[1, 0, 0, 1])
    assert found.mistakes_share == pytest.approx((0.4 + 230 / 255) / 2)
    assert found.correct_share == pytest.approx(0.0)
    assert facts("2").mistakes_share is None
    assert facts("2", predictions=[1] * 4).correct_share is None


def test_share_inside_known_objects() -> None:
    inside = [[255, 0, 0, 51], [255] * 4, [255] * 4, [255, 0, 0, 0]]
    found = facts("1", inside=inside, has_object=[True, True, True, False])
    assert found.inside == pytest.approx((0.5 + 1) / 1.6)
    assert found.inside_images == 2
    found = facts("2", inside=inside, has_object=[True, True, True, False])
    assert found.inside == pytest.approx(0.2)
    assert found.inside_images == 1
    assert facts("2", inside=inside, has_object=[False, True, True, False]).inside is None
    assert facts("1").inside is None and facts("1").inside_images == 0


def test_evidence_that_is_wholly_inside_is_exactly_one() -> None:
    rng = np.random.default_rng(0)
    images = examined(
        rng.integers(0, 3, [300, 4]),
        rng.integers(0, 256, [300, 4]),
        inside=np.full([300, 4], 255),
        has_object=np.ones(300),
    )
    finder = FactFinder(small_cues.tree(), images, 2)
    assert [finder.inside(name) for name in ("1", "2", "1a", "1b")] == [1.0] * 4


def test_known_images_are_those_with_an_object_in_which_it_is_present() -> None:
    images = examined(MAPS, EVIDENCE, has_object=[True, True, False, True])
    finder = FactFinder(small_cues.tree(), images, 2)
    assert [finder.known_images(name) for name in ("1", "2", "1a", "1b")] == [1, 2, 1, 1]


def test_a_mixture_gains_purity_by_splitting() -> None:
    # Halves at right angles: 0.97 on average, together (3 * 1, 1 * 0.9) / 4 in length.
    assert facts("1").purity == pytest.approx(np.hypot(0.75, 0.225))
    assert facts("1").is_mixture
    assert not facts("2").is_mixture


def test_a_mixture_has_halves_on_and_off_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MIXTURE_GAIN", 2.0)
    known = {"has_object": [True] * 4}
    apart = [[255, 0, 0, 0], [0] * 4, [0] * 4, [255] * 4]
    assert facts("1", inside=apart, **known).is_mixture
    assert not facts("1", inside=np.full([4, 4], 255), **known).is_mixture
    assert not facts("1").is_mixture


def test_position_compares_places_with_those_of_all_evidence() -> None:
    # Each cue in a cell of its own, with a third of the evidence.
    maps, evidence = [[0, 1, 2, 2]] * 3, [[255, 255, 255, 0]] * 3
    finder = FactFinder(small_cues.tree(0, 1, 2), examined(maps, evidence), 2)
    mean = np.array([2, 0.5, 0.5]) / 3
    expected = -(mean * np.log2(mean)).sum() - np.log2(3) / 2
    assert finder.facts("1").position == pytest.approx(expected)
    # The same two cells for all cues.
    maps, evidence = [[0, 0, 2, 2], [2, 2, 0, 0]], [[255, 0, 255, 0]] * 2
    finder = FactFinder(small_cues.tree(), examined(maps, evidence), 2)
    assert finder.facts("1").position == 0.0
    # No evidence at all.
    assert finder.facts("1b").position == 0.0


def test_images_without_any_evidence_give_facts_without_warnings() -> None:
    images = examined([[0, 1, 2, 2]], [[0] * 4])
    found = FactFinder(small_cues.tree(), images, 2).facts("1")
    assert (found.evidence_share, found.leads_in, found.position) == (0.0, 0, 0.0)


@pytest.mark.parametrize("name", ["1", "2"])
def test_suspicion_of_facts_is_that_of_the_function(name: str) -> None:
    found = facts(name, predictions=[1, 0, 0, 1])
    assert found.suspicion == _suspicion(found.position, found.purity)


def test_suspicion_grows_with_a_fixed_place_and_with_purity() -> None:
    assert _suspicion(0.3, 0.8) > _suspicion(0.2, 0.8)
    assert _suspicion(0.3, 0.9) > _suspicion(0.3, 0.8)
    assert _suspicion(0.0, 0.9) == 0.0
    # Purer than rounding allows to tell is all the same.
    assert _suspicion(0.25, 1.0) == _suspicion(0.25, 0.995) == pytest.approx(50.0)


def test_an_unknown_cue_is_an_error() -> None:
    finder = FactFinder(small_cues.tree(), examined(MAPS, EVIDENCE), 2)
    for ask in (finder.facts, finder.inside, finder.known_images):
        with pytest.raises(ValueError, match="There is no cue '3'. There are 1 to 2"):
            ask("3")
