"""Cues are found in a finished run, and ticked by the objects known in a share of its images."""

from __future__ import annotations

import dataclasses
import json

import keras
import numpy as np
import pytest

from proxy_keras import Cues
from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig
from proxy_keras.training.run import load_data
from tuner import arm_cues

CONFIG = TrainConfig(
    DataConfig("decoy_digits", image_size=16, limit=100), None, batch_size=32, seed=3
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder of a run whose network looks at colour, which only decoys have."""
    folder = tmp_path_factory.mktemp("run")
    load_data(CONFIG, None, progress=False).save(folder)
    (folder / "config.json").write_text("{}")
    image = keras.Input([16, 16, 3])
    # The difference of each channel from the mean of all.
    colours = keras.layers.Conv2D(3, 1, activation="relu", name="colours")
    cells = colours(keras.layers.AveragePooling2D(2)(image))
    pooled = keras.layers.GlobalAveragePooling2D()(cells)
    model = keras.Model(image, keras.layers.Dense(10, use_bias=False)(pooled))
    kernel = np.eye(3, dtype="float32") - 1 / 3
    colours.set_weights([kernel[None, None], np.full([3], -10, "float32")])
    model.layers[-1].set_weights([np.eye(3, 10, dtype="float32")])
    model.save(folder / "model.keras")
    return folder


def find(run, folder, **asked):
    settings = folder.with_name(f"{folder.name}.json")
    proxy = ProxyConfig(cues="arm:none", **asked)
    dataclasses.replace(CONFIG, proxy=proxy).save(settings)
    words = ["--config", settings, "--run", run, "--out", folder, "--quiet"]
    return arm_cues.main([str(word) for word in words])


def test_cues_outside_the_object_are_ticked_by_the_asked_share_of_objects(run, tmp_path, capsys):
    assert find(run, tmp_path / "a", object_share=0.3) == 0
    metrics = json.loads((tmp_path / "a" / "metrics.json").read_text())
    cues = Cues.load(tmp_path / "a")
    assert metrics["known_objects"] == cues.images.has_object.sum() == 30
    assert metrics["ticked"] == len(cues.ticked) > 0
    assert metrics["seconds"] > 0 and metrics["cpu_seconds"] > 0
    data = load_data(CONFIG, run, progress=False)
    assert cues.images.example_ids == list(data.train.example_ids)
    # This network sees little but decoys; a hue that few known images have is not judged.
    images = next(data.train.originals(100).as_numpy_iterator())[1]
    masks = cues.masks(images)
    on_decoy = np.zeros_like(masks)
    for cells, example_id in zip(on_decoy, data.train.example_ids, strict=True):
        ((x0, y0, x1, y1),) = np.array(data.planted[example_id]) / 2
        cells[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = True
    assert masks.any(axis=(1, 2)).mean() > 0.6
    assert (masks & on_decoy).sum() / masks.sum() > 0.9
    assert "cues ticked" in capsys.readouterr().out


def test_nothing_to_tick_is_a_result(run, tmp_path):
    assert find(run, tmp_path / "a", object_share=0.03) == 0
    metrics = json.loads((tmp_path / "a" / "metrics.json").read_text())
    # No cue is present in all three images, the fewest by which `tick_outside` judges.
    assert (metrics["known_objects"], metrics["ticked"]) == (3, 0)


def test_too_few_known_objects_are_an_error(run, tmp_path, capsys):
    assert find(run, tmp_path / "a", object_share=0.01) == 2
    assert "must be known in at least 3 of the examined images" in capsys.readouterr().err


def test_a_run_without_a_network_is_an_error(run, tmp_path, capsys):
    (tmp_path / "none").mkdir()
    assert find(tmp_path / "none", tmp_path / "a") == 2
    assert "error: " in capsys.readouterr().err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    assert find(run, tmp_path / "full") == 2
    assert "is not empty. Add --resume, or choose another --out" in capsys.readouterr().err
