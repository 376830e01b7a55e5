"""Cues are ticked, by hand or by known objects, and masked in images."""

from __future__ import annotations

from typing import Any, cast

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

import proxy_keras
from proxy_keras.cues import cues as module
from proxy_keras.cues.cell_reader import CellReader
from proxy_keras.cues.clustering import CellClusters
from proxy_keras.cues.cue_tree import CueTree
from proxy_keras.cues.cues import Cues
from proxy_keras.cues.facts import FactFinder
from tests.cues import small_cues
from tests.cues.small_cues import examined

MAPS = np.tile([[0, 1, 2, 2]], [8, 1])
EVIDENCE = np.tile([[100, 100, 200, 0]], [8, 1])


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Images [1, 4, 3] are the cells themselves; class k has the evidence of channel k."""
    image = keras.Input([1, 4, 3])
    cells = keras.layers.Conv2D(3, 1, use_bias=False, name="cells")(image)
    pooled = keras.layers.GlobalAveragePooling2D()(cells)
    model = keras.Model(image, keras.layers.Dense(3, use_bias=False)(pooled))
    head = np.array([[2, 0, 0], [1, 0, 0], [1, 0, 0]], np.float32)
    model.set_weights([np.eye(3, dtype=np.float32)[None, None], head])
    return model


@pytest.fixture(scope="module")
def reader(model: keras.Model) -> CellReader:
    return CellReader(model, "cells")


@pytest.fixture
def cues(model: keras.Model, reader: CellReader) -> Cues:
    """Cue 1 is the clusters 0 and 1 (colours red and green), cue 2 is cluster 2 (blue)."""
    return Cues(model, reader, small_cues.tree(), examined(MAPS, EVIDENCE))


def images() -> NDArray[np.float32]:
    """Red 1.0, green 0.2, blue 1.0, black; and black alone."""
    images = np.zeros([2, 1, 4, 3], np.float32)
    images[0, 0, 0, 0] = 1.0
    images[0, 0, 1, 1] = 0.2
    images[0, 0, 2, 2] = 1.0
    return images


def known(inside: Any, count: int = 8, **others: Any) -> Any:
    has_object = np.arange(8) < count
    return examined(MAPS, EVIDENCE, inside=np.tile(inside, [8, 1]), has_object=has_object, **others)


def test_cells_have_cluster_evidence_and_tick(cues: Cues) -> None:
    cues.tick(["2", "1a"])
    cells = cues.cells(images())
    assert cells.clusters[0, 0, :3].tolist() == [0, 1, 2]
    np.testing.assert_allclose(cells.evidence[:, 0], [[1, 0.1, 0.5, 0], [0] * 4], atol=1e-6)
    # Black cells have no features; the nearest cluster says nothing of them.
    assert cells.is_ticked[:, 0].tolist() == [[True, False, True, False], [False] * 4]


def test_a_cell_unlike_every_cluster_belongs_to_the_nearest(cues: Cues) -> None:
    cues.tick(["1", "2"])
    pictures = np.zeros([1, 1, 4, 3], np.float32)
    # Opposite to red, and nearest to green and blue at right angles; class 1 has evidence for it.
    pictures[0, 0, 0, 0] = -1.0
    cells = cues.cells(pictures)
    assert cells.evidence[0, 0].tolist() == [1, 0, 0, 0]
    assert cells.is_ticked[0, 0].tolist() == [True, False, False, False]
    assert cues.ticked_share(pictures).tolist() == [1.0]
    assert cues.shares(pictures).sum() == 1.0


def test_masks_are_ticked_cells_with_evidence(cues: Cues) -> None:
    assert module.MASK_EVIDENCE == 0.15
    cues.tick(["1"])
    assert cues.masks(images())[:, 0].tolist() == [[True, False, False, False], [False] * 4]
    low = cues.masks(images(), evidence=0.09)
    assert low.dtype == bool and low[0, 0].tolist() == [True, True, False, False]
    assert cues.masks(images(), evidence=1.0)[0, 0].tolist() == [True, False, False, False]
    assert cues.masks(images(), evidence=0.0)[:, 0].tolist() == [
        [True, True, False, False],
        [False] * 4,
    ]


def test_ticked_share_is_of_the_evidence(cues: Cues) -> None:
    assert cues.ticked_share(images()).tolist() == [0.0, 0.0]
    cues.tick(["2"])
    share = cues.ticked_share(images())
    assert share.dtype == np.float32
    np.testing.assert_allclose(share, [0.5 / 1.6, 0], atol=1e-6)
    cues.tick(["1"])
    np.testing.assert_allclose(cues.ticked_share(images()), [1, 0], atol=1e-6)


def test_ticked_evidence_is_that_of_the_examined_images(cues: Cues) -> None:
    assert cues.ticked_evidence == 0.0
    cues.tick(["1a", "2"])
    assert cues.ticked_evidence == pytest.approx(0.75)


@pytest.mark.parametrize("evidence", [-0.1, 1.1, float("nan")])
def test_masks_refuse_other_thresholds(cues: Cues, evidence: float) -> None:
    cues.tick(["1"])
    with pytest.raises(ValueError, match=r"`evidence` must be in \[0, 1\]. Received"):
        cues.masks(images(), evidence=evidence)


def test_masks_need_a_tick(cues: Cues) -> None:
    cues.say(["1"], "object")
    with pytest.raises(ValueError, match=r"No cue is ticked. Tick what is not the object: cues"):
        cues.masks(images())


def test_a_finer_verdict_wins_whenever_it_was_said(cues: Cues) -> None:
    cues.tick(["1"])
    assert cues.ticked_clusters.tolist() == [True, True, False]
    cues.say(["1b"], "object")
    assert cues.ticked_clusters.tolist() == [True, False, False]
    cues.say(["1"], None)
    cues.tick(["1"])
    assert cues.ticked_clusters.tolist() == [True, False, False]
    cues.say(["1b"], None)
    assert cues.ticked_clusters.tolist() == [True, True, False]
    assert cues.ticked == ["1"]


def test_a_later_verdict_on_the_same_cue_wins(cues: Cues) -> None:
    cues.tick(["1", "2"])
    cues.say(["1"], "object")
    assert cues.ticked == ["2"] and cues.ticked_clusters.tolist() == [False, False, True]
    cues.undo()
    assert cues.ticked == ["1", "2"]
    cues.undo()
    assert cues.ticked == [] and not cues.ticked_clusters.any()
    cues.undo()


def test_nothing_of_a_mixture_is_ticked_but_its_ticked_halves(cues: Cues) -> None:
    cues.say(["1"], "mixture")
    assert not cues.ticked_clusters.any()
    cues.tick(["1a"])
    assert cues.ticked_clusters.tolist() == [True, False, False]
    cues.undo()
    cues.tick(["1"])
    cues.say(["1b"], "mixture")
    assert cues.ticked_clusters.tolist() == [True, False, False]


def test_an_unknown_name_changes_nothing(cues: Cues) -> None:
    with pytest.raises(ValueError, match="There is no cue '9'"):
        cues.tick(["1", "9"])
    assert cues.ticked == []
    with pytest.raises(ValueError, match="A verdict must be one of"):
        cues.say(["1"], "bad")
    assert cues.verdicts.said == ()


def test_a_single_text_is_not_taken_as_names(cues: Cues) -> None:
    # Its letters would be: "12" would tick cues 1 and 2.
    with pytest.raises(ValueError, match=r"`names` must be a list of names.*Received: '12'"):
        cues.tick("12")
    cues.tick(cast(Any, [1]))
    assert cues.ticked == ["1"]


@pytest.fixture(autouse=True)
def _fewest_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEWEST_KNOWN", 5)
    monkeypatch.setattr(module, "FEWEST_TO_SPLIT", 5)


def outside(model: keras.Model, reader: CellReader, found: Any, share: float) -> list[str]:
    cues = Cues(model, reader, small_cues.tree(), found)
    names = cues.tick_outside(share)
    assert cues.ticked == names
    cues.undo()
    assert cues.ticked == []
    return names


def test_what_lies_outside_is_ticked(model: keras.Model, reader: CellReader) -> None:
    assert outside(model, reader, known([255, 255, 0, 0]), 0.5) == ["2"]
    assert outside(model, reader, known([0, 0, 255, 0]), 0.5) == ["1"]
    assert outside(model, reader, known([0, 255, 255, 0]), 0.5) == ["1a"]
    assert outside(model, reader, known([0, 0, 0, 0]), 0.5) == ["1", "2"]
    assert outside(model, reader, known([255] * 4), 1.0) == []
    assert outside(model, reader, known([255, 0, 0, 0]), 0.5) == ["1b", "2"]


def test_the_threshold_is_on_the_share_of_evidence(model: keras.Model, reader: CellReader) -> None:
    # Half a cell of cue 2 is inside.
    found = known([255, 255, 51 * 2, 0])
    assert outside(model, reader, found, 0.4) == []
    assert outside(model, reader, found, 0.41) == ["2"]


def test_halves_that_are_too_rare_are_judged_together(
    model: keras.Model, reader: CellReader
) -> None:
    evidence = EVIDENCE.copy()
    # Cluster 1 is present in four images with a known object only.
    evidence[4:, 1] = 0
    inside = np.tile([[0, 255, 255, 0]], [8, 1])
    found = examined(MAPS, evidence, inside=inside, has_object=np.ones(8))
    on_cue = (4 * (0.25 + 0.25) + 4 / 3, 4 * 0.25)
    share = on_cue[1] / on_cue[0]
    assert outside(model, reader, found, share - 0.01) == []
    assert outside(model, reader, found, share + 0.01) == ["1"]


def test_splitting_asks_for_more_known_images_than_judging(
    model: keras.Model, reader: CellReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = known([0, 255, 255, 0])
    monkeypatch.setattr(module, "FEWEST_TO_SPLIT", 8)
    assert outside(model, reader, found, 0.5) == ["1a"]
    monkeypatch.setattr(module, "FEWEST_TO_SPLIT", 9)
    share = Cues(model, reader, small_cues.tree(), found).facts("1").inside
    assert share is not None
    assert outside(model, reader, found, share - 0.01) == []
    assert outside(model, reader, found, share + 0.01)[0] == "1"


def test_what_is_present_in_few_known_images_is_not_judged(
    model: keras.Model, reader: CellReader
) -> None:
    evidence = EVIDENCE.copy()
    evidence[4:, 2] = 0
    found = examined(MAPS, evidence, inside=np.zeros([8, 4]), has_object=np.ones(8))
    assert outside(model, reader, found, 0.5) == ["1"]


@pytest.mark.parametrize("count", [0, 1, 4])
def test_too_few_known_objects_are_an_error(
    model: keras.Model, reader: CellReader, count: int
) -> None:
    cues = Cues(model, reader, small_cues.tree(), known([0] * 4, count))
    with pytest.raises(ValueError, match=rf"at least 5 .* It is known in {count}. Give boxes"):
        cues.tick_outside(0.5)
    assert cues.ticked == []


@pytest.mark.parametrize("share", [0.0, -1.0, 1.01, float("nan")])
def test_other_shares_are_refused(cues: Cues, share: float) -> None:
    with pytest.raises(ValueError, match=r"`share` must be in \(0, 1\]. Received"):
        cues.tick_outside(share)


def test_a_deep_tree_is_judged_without_recursion(
    model: keras.Model, reader: CellReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 1100
    chain = [[0, 1], *([count + row - 1, row + 1] for row in range(1, count - 1))]
    ones = np.ones([count, 1], np.float32)
    clusters = CellClusters(ones, ones, np.ones([count], np.int64), np.array(chain, np.int32))
    cues = Cues(model, reader, CueTree(clusters, (2 * count - 2,)), known([0] * 4))
    monkeypatch.setattr(FactFinder, "known_images", lambda *_: 9)
    monkeypatch.setattr(FactFinder, "inside", lambda *_: 0.0)
    assert cues.tick_outside(0.5) == ["1"]


def test_the_table_has_the_facts_and_the_verdicts(cues: Cues) -> None:
    cues.tick(["2"])
    header, first, second = (line.split() for line in str(cues).splitlines())
    assert header[:3] == ["cue", "evidence", "inside"] and header[-1] == "verdict"
    assert first[:3] == ["1", "50.0%", "-"]
    assert second[:3] == ["2", "50.0%", "-"] and second[-2:] == ["not", "object"]
    assert first[-3:] == ["(mixture:", "split", "it)"]


def test_names_are_public() -> None:
    assert proxy_keras.Cues is Cues
    assert {"Cues", "find_cues"} <= set(proxy_keras.__all__)
    assert proxy_keras.find_cues.__module__ == "proxy_keras.cues.find"
