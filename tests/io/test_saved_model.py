"""Saved models are opened with their class names; other files are refused."""

import json
import re
import zipfile

import keras
import pytest
from keras import layers

from proxy_keras.io.saved_model import open_saved


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
def test_a_run_has_a_model_and_class_names(run, path):
    saved = open_saved(run / path)
    assert saved.classes == ["cat", "dog"] and saved.run == run
    assert saved.file == run / (path or "model.keras")
    assert saved.model.output_shape == (None, 2)


def _lambda_model(tmp_path):
    images = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Lambda(lambda x: x / 255)(images))
    return keras.Model(images, layers.Dense(2)(x))


def _saved_model_layer(tmp_path):
    _model().export(tmp_path / "saved_model", verbose=False)
    images = keras.Input((8, 8, 3))
    inner = layers.TFSMLayer(str(tmp_path / "saved_model"), call_endpoint="serve")
    return keras.Model(images, inner(images))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (_lambda_model, "class Lambda, .*Replace it by keras.layers or keras.ops"),
        (_saved_model_layer, "class TFSMLayer, .*Rebuild the network of Keras layers"),
    ],
)
def test_layers_that_keras_does_not_open_are_named_with_what_helps(tmp_path, build, words):
    build(tmp_path).save(tmp_path / "a.keras")
    with pytest.raises(ValueError, match=f"{words}.*safe_mode=False") as caught:
        open_saved(tmp_path / "a.keras")
    assert "Save the model again" not in str(caught.value)
    # What the message advises works.
    keras.models.load_model(str(tmp_path / "a.keras"), safe_mode=False)


def test_other_formats_are_named_with_what_helps(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"HDF")
    with pytest.raises(ValueError, match=r"a.h5 is an HDF5 file.*save\('a.keras'\)"):
        open_saved(tmp_path / "a.h5")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/saved_model.pb").write_bytes(b"x")
    with pytest.raises(ValueError, match="is a SavedModel of TensorFlow.*TFSMLayer"):
        open_saved(tmp_path / "folder")


def test_a_separate_file_has_only_the_given_names(tmp_path):
    _model().save(tmp_path / "a.keras")
    # Of another model, since the file is not in a run.
    (tmp_path / "labels.json").write_text('["x", "y"]')
    assert open_saved(tmp_path / "a.keras").classes is None
    (tmp_path / "names.json").write_text(json.dumps({"1": "b", "0": "a"}))
    saved = open_saved(tmp_path / "a.keras", tmp_path / "names.json")
    assert saved.classes == ["a", "b"] and saved.run is None


def test_names_of_another_model_are_refused(tmp_path):
    _model().save(tmp_path / "a.keras")
    (tmp_path / "names.json").write_text('["a", "b", "c"]')
    with pytest.raises(ValueError, match="names 3 classes, but the model has 2"):
        open_saved(tmp_path / "a.keras", tmp_path / "names.json")


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.keras does not exist"):
        open_saved(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_damaged_file_is_reported(tmp_path, share):
    file = tmp_path / "a.keras"
    _model().save(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"a\.keras is not a \.keras file or is damaged"):
        open_saved(file)


def test_an_unknown_layer_class_is_named(tmp_path):
    class Twice(layers.Layer):
        def call(self, x):
            return 2 * x

    images = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(Twice()(layers.Conv2D(2, 3)(images)))
    keras.Model(images, layers.Dense(2)(x)).save(tmp_path / "a.keras")
    with pytest.raises(ValueError, match="Could not locate class 'Twice'.*in Python"):
        open_saved(tmp_path / "a.keras")


@pytest.mark.parametrize("part", ["config.json", "model.weights.h5", "metadata.json"])
def test_a_changed_byte_is_reported(tmp_path, part):
    file = tmp_path / "a.keras"
    _model().save(file)
    with zipfile.ZipFile(file) as archive:
        place = archive.getinfo(part).header_offset + 30 + len(part) + 10
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.keras is not a \.keras file or is damaged"):
        open_saved(file)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "is not a .keras file or is damaged"),
        (["metadata.json"], "is not a .keras file or is damaged"),
        (["config.json"], "cannot be opened: "),
        (["config.json", "metadata.json"], "cannot be opened: "),
    ],
)
def test_other_archives_are_reported(tmp_path, parts, message):
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("photo.txt", "mine")
        for part in parts:
            archive.writestr(part, "{}")
    with pytest.raises(ValueError, match=re.escape(f"a.keras {message}")) as error:
        open_saved(tmp_path / "a.keras")
    assert "\n" not in str(error.value)


def _grey():
    images = keras.Input((8, 8, 1))
    return images, layers.Dense(2)(layers.Flatten()(images))


def _two_inputs():
    images = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    return images, layers.Dense(2)(layers.Flatten()(layers.Add()(images)))


def _two_outputs():
    images = keras.Input((8, 8, 3))
    return images, [layers.Dense(2)(layers.Flatten()(images)) for _ in range(2)]


def _vector():
    images = keras.Input((8,))
    return images, layers.Dense(2)(images)


def _map():
    images = keras.Input((8, 8, 3))
    return images, layers.Conv2D(2, 3)(images)


@pytest.mark.parametrize("ends", [_grey, _two_inputs, _two_outputs, _vector, _map])
def test_other_models_are_refused(tmp_path, ends):
    keras.Model(*ends()).save(tmp_path / "a.keras")
    (tmp_path / "names.json").write_text('["cat", "dog"]')
    for labels in (None, tmp_path / "names.json"):
        with pytest.raises(ValueError, match=r"a\.keras must map colour images \[B, H, W, 3\]"):
            open_saved(tmp_path / "a.keras", labels)


def test_class_names_are_checked_before_the_model_is_opened(tmp_path):
    (tmp_path / "names.json").write_text('{"a": "b"}')
    with pytest.raises(ValueError, match=r"names\.json must contain a JSON list of class names"):
        open_saved(tmp_path / "none.keras", tmp_path / "names.json")
    with pytest.raises(FileNotFoundError, match=r"missing\.json does not exist"):
        open_saved(tmp_path / "none.keras", tmp_path / "missing.json")


@pytest.mark.parametrize("path", ["", "best.keras"])
def test_names_of_the_run_in_another_order_are_refused(run, path, tmp_path):
    names = tmp_path / "names.json"
    names.write_text('{"dog": 0, "cat": 1}')
    with pytest.raises(ValueError, match="another order: class 0 is 'cat'. Received: 'dog'"):
        open_saved(run / path, names)
    names.write_text('["Katze", "Hund"]')
    assert open_saved(run / path, names).classes == ["Katze", "Hund"]
