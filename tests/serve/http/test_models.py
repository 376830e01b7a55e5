"""Tests of serve/models.py."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from serve.model import Model
from serve.models import Models, Source, UnknownModelError, describe
from serve.settings import Settings
from serve.telemetry import Telemetry

WriteModel = Callable[..., Path]


def open_cpu(path: Path) -> Model:
    return Model(path, device="cpu", threads=1)


def models_of(*sources: Source) -> Models:
    return Models(sources, open_model=open_cpu, settings=Settings(), telemetry=Telemetry())


def test_models_go_by_their_own_names_or_by_those_given(write_model: WriteModel) -> None:
    models = models_of(Source(write_model()), Source(write_model(size=4), "small"))
    assert [served.name for served in models] == ["mean_colour", "small"]
    assert models.get().name == "mean_colour"
    spec = models.get("small").current.spec
    assert (spec.name, spec.datatype, spec.image_size) == ("small", "UINT8", (4, 4))
    assert (spec.labels, spec.map_shape) == (("a", "b", "c"), (2, 2))
    with pytest.raises(UnknownModelError, match=r"'other'.*models are: mean_colour, small"):
        models.get("other")


def test_a_float_model_without_heatmaps_has_such_a_spec(write_model: WriteModel) -> None:
    spec = models_of(Source(write_model(dtype="float32", explain="none"))).get().current.spec
    assert (spec.datatype, spec.map_shape) == ("FP32", None)


def test_two_models_of_one_name_are_refused(write_model: WriteModel) -> None:
    first, second = write_model(), write_model()
    with pytest.raises(ValueError, match=rf"NAME={second}"):
        models_of(Source(first), Source(second))


@pytest.mark.parametrize("name", ["a/b", "", "ü", "a b", "x" * 129])
def test_a_name_must_fit_in_a_path(write_model: WriteModel, name: str) -> None:
    path = write_model(metadata={"name": name or "a?b"})
    with pytest.raises(ValueError, match=f"NAME={path}"):
        models_of(Source(path, name or None))


def test_there_must_be_a_model() -> None:
    with pytest.raises(ValueError, match="at least one"):
        models_of()


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing.onnx"):
        models_of(Source(tmp_path / "nothing.onnx"))


def test_a_reload_brings_the_new_file_under_the_old_name(write_model: WriteModel) -> None:
    path = write_model()
    models = models_of(Source(path))
    before = models.get().current
    write_model(path, size=4, labels=("x", "y", "z"), metadata={"name": "renamed"})
    asyncio.run(models.reload())
    after = models.get("mean_colour").current
    assert (before.spec.image_size, after.spec.image_size) == ((8, 8), (4, 4))
    assert after.spec.labels == ("x", "y", "z")
    assert (after.spec.name, after.model.card.name) == ("mean_colour", "renamed")
    # Active requests can still use the old model.
    assert before.model.run(np.zeros([1, 8, 8, 3], np.uint8)).logits.shape == (1, 3)


def test_a_bad_file_keeps_the_old_model_and_reloads_the_others(
    write_model: WriteModel, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = write_model(), write_model()
    models = models_of(Source(bad, "bad"), Source(good, "good"))
    kept = models.get("bad").current
    bad.write_bytes(b"no model")
    write_model(good, size=4)
    asyncio.run(models.reload())
    assert models.get("bad").current is kept
    assert models.get("good").current.spec.image_size == (4, 4)
    assert "Kept the current model 'bad'" in caplog.text
    os.unlink(bad)
    asyncio.run(models.reload())
    assert models.get("bad").current is kept


def test_a_model_is_told_in_one_line(write_model: WriteModel) -> None:
    line = describe(models_of(Source(write_model(), "digits")).get().current)
    assert line.startswith("digits: mean_colour, 3 classes, 8 x 8 px, heatmap grad_cam, fp32, on")
    assert "\n" not in line
