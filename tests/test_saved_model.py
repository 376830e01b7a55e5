"""A saved model is opened with its names, and what is none is told."""

import json

import keras
import pytest
from keras import layers

from proxy_keras.saved_model import open_saved


def _model(activation="linear"):
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(2, 3, activation=activation)(images)
    return keras.Model(images, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("model.keras", "best.keras"):
        _model().save(folder / name)
    (folder / "config.json").write_text("{}")
    (folder / "labels.json").write_text('["cat", "dog"]')
    return folder


@pytest.mark.parametrize("path", ["", "model.keras", "best.keras"])
def test_a_run_gives_its_model_and_its_class_names(run, path):
    saved = open_saved(run / path)
    assert saved.classes == ["cat", "dog"] and saved.run == run
    assert saved.file == run / (path or "model.keras")
    assert saved.model.output_shape == (None, 2)


def test_a_file_on_its_own_has_no_names_but_those_given(tmp_path):
    _model().save(tmp_path / "a.keras")
    # Of something else, since it lies in no run.
    (tmp_path / "labels.json").write_text('["x", "y"]')
    assert open_saved(tmp_path / "a.keras").classes is None
    (tmp_path / "names.json").write_text(json.dumps({"1": "b", "0": "a"}))
    saved = open_saved(tmp_path / "a.keras", tmp_path / "names.json")
    assert saved.classes == ["a", "b"] and saved.run is None


def test_names_of_another_model_are_refused(tmp_path):
    _model().save(tmp_path / "a.keras")
    (tmp_path / "names.json").write_text('["a", "b", "c"]')
    with pytest.raises(ValueError, match="names 3 classes, but the model answers 2"):
        open_saved(tmp_path / "a.keras", tmp_path / "names.json")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.keras does not exist"):
        open_saved(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_damaged_file_is_told(tmp_path, share):
    file = tmp_path / "a.keras"
    _model().save(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"a\.keras is no \.keras file, or is damaged"):
        open_saved(file)


def test_a_class_that_nobody_knows_is_named(tmp_path):
    class Twice(layers.Layer):
        def call(self, x):
            return 2 * x

    images = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(Twice()(layers.Conv2D(2, 3)(images)))
    keras.Model(images, layers.Dense(2)(x)).save(tmp_path / "a.keras")
    with pytest.raises(ValueError, match="Could not locate class 'Twice'.*in Python"):
        open_saved(tmp_path / "a.keras")
