"""What a run folder or a file tells of its model, and the images to check it on."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from PIL import Image

from export.source import open_source, real_images, versions
from proxy_keras.data import ImageData
from proxy_keras.settings import DataConfig, TrainConfig


@pytest.fixture
def images(tmp_path):
    """An npz file of 90 images of 16 px in three classes."""
    draw = np.random.default_rng(0)
    path = tmp_path / "images.npz"
    np.savez(
        path,
        x_train=draw.integers(0, 256, (90, 16, 16, 3), np.uint8),
        y_train=np.arange(90) % 3,
        classes=np.array(["red", "green", "blue"]),
    )
    return path


@pytest.fixture
def run(tmp_path, images, make_model):
    """A run folder of a model that was not trained."""
    folder = tmp_path / "run"
    data = ImageData.from_source(f"npz:{images}", progress=False)
    data.save(folder)
    config = TrainConfig(DataConfig(f"npz:{images}", image_size=16), model="resnet20")
    config.save(folder / "config.json")
    make_model().save(folder / "model.keras")
    make_model().save(folder / "best.keras")
    (folder / "run.json").write_text(json.dumps({"split_sha256": data.split_sha256}))
    (folder / "metrics.json").write_text(json.dumps({"test": {"accuracy": 0.75}}))
    return folder


def test_a_run_tells_all(run):
    source = open_source(run, needs_data=True, progress=False)
    assert (source.name, source.classes) == ("resnet20", ["red", "green", "blue"])
    assert source.image_size == (16, 16) and source.test_accuracy == 0.75
    assert source.data is not None and source.split_sha256 == source.data.split_sha256


def test_the_index_is_that_of_the_run_or_the_given_one(run, images, monkeypatch):
    asked = []

    def load_data(config, folder, *, progress):
        asked.append(config.data.index)
        return ImageData.from_source(f"npz:{images}", progress=progress)

    monkeypatch.setattr("export.source.load_data", load_data)
    config = TrainConfig.load(run / "config.json")
    data = dataclasses.replace(config.data, index="/indexes/a")
    dataclasses.replace(config, data=data).save(run / "config.json")
    for index in (None, "none"):
        open_source(run, needs_data=True, progress=False, index=index)
    assert asked == ["/indexes/a", "none"]


def test_the_accuracy_is_that_of_the_last_epoch_only(run):
    source = open_source(run / "best.keras", progress=False)
    assert source.test_accuracy is None and source.classes == ["red", "green", "blue"]
    assert source.split_sha256 is not None and source.data is None


def test_a_file_on_its_own_tells_little(tmp_path, make_model):
    make_model().save(tmp_path / "a.keras")
    source = open_source(tmp_path / "a.keras")
    assert source.classes == ["class 0", "class 1", "class 2"]
    assert (source.name, source.split_sha256, source.test_accuracy) == ("small", None, None)


def test_names_and_data_can_be_given(tmp_path, images, make_model):
    make_model().save(tmp_path / "a.keras")
    (tmp_path / "names.json").write_text('["x", "y", "z"]')
    source = open_source(
        tmp_path / "a.keras",
        name="my net/v2",
        labels=tmp_path / "names.json",
        data=f"npz:{images}",
        progress=False,
    )
    assert (source.name, source.classes) == ("my_net_v2", ["x", "y", "z"])
    assert source.data is not None and len(source.data.train) > 0


def test_keras_class_indices_can_be_given(tmp_path, make_model):
    make_model().save(tmp_path / "a.keras")
    (tmp_path / "indices.json").write_text('{"0": 1, "1": 2, "2": 0}')
    options = {"labels": tmp_path / "indices.json", "progress": False}
    assert open_source(tmp_path / "a.keras", **options).classes == ["2", "0", "1"]


def test_names_of_the_data_in_another_order_are_refused(tmp_path, images, make_model):
    make_model().save(tmp_path / "a.keras")
    (tmp_path / "names.json").write_text('["blue", "green", "red"]')
    with pytest.raises(ValueError, match="another order: class 0 is 'red'. Received: 'blue'"):
        open_source(
            tmp_path / "a.keras",
            labels=tmp_path / "names.json",
            data=f"npz:{images}",
            progress=False,
        )


def test_data_of_another_number_of_classes_are_refused(tmp_path, images):
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    keras.Model(inputs, keras.layers.Dense(4)(x)).save(tmp_path / "a.keras")
    with pytest.raises(ValueError, match="has 4 classes, the data have 3"):
        open_source(tmp_path / "a.keras", data=f"npz:{images}", progress=False)


def test_a_size_is_needed_where_the_model_takes_any(tmp_path, make_model):
    make_model(size=None).save(tmp_path / "any.keras")
    with pytest.raises(ValueError, match="--image-size"):
        open_source(tmp_path / "any.keras")
    assert open_source(tmp_path / "any.keras", image_size=24).image_size == (24, 24)
    make_model().save(tmp_path / "fixed.keras")
    with pytest.raises(ValueError, match="16 x 16"):
        open_source(tmp_path / "fixed.keras", image_size=24)


def test_a_model_of_grey_images_is_refused(tmp_path):
    inputs = keras.Input((16, 16, 1))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    keras.Model(inputs, keras.layers.Dense(2)(x)).save(tmp_path / "grey.keras")
    with pytest.raises(ValueError, match=r"colour images \[B, H, W, 3\]"):
        open_source(tmp_path / "grey.keras")


def test_images_that_are_gone_are_an_error_with_the_way_out(run, images):
    images.unlink()
    with pytest.raises(FileNotFoundError, match="--images"):
        open_source(run, needs_data=True, progress=False)
    assert open_source(run, progress=False).data is None


def test_the_check_is_on_validation_images(run):
    source = open_source(run, needs_data=True, progress=False)
    pictures, what = real_images(source, [])
    _, expected, _ = next(source.data.val.originals(7).as_numpy_iterator())
    np.testing.assert_array_equal(pictures, expected)
    assert pictures.dtype == np.uint8 and what == "7 images of the validation split"


def test_the_check_is_on_given_images(make_source, make_model, tmp_path):
    for number in range(2):
        Image.new("RGB", (20, 30), (number, 7, 9)).save(tmp_path / f"{number}.png")
    pictures, what = real_images(
        make_source(make_model()), [tmp_path / "0.png", tmp_path / "1.png"]
    )
    assert pictures[:, 0, 0, 0].tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert pictures.shape == (7, 16, 16, 3) and what == "2 given images"


def test_else_on_crops_of_photographs(make_source, make_model):
    pictures, what = real_images(make_source(make_model()), [])
    assert pictures.shape == (7, 16, 16, 3) and "photographs" in what
    assert len({picture.tobytes() for picture in pictures}) == 7
    assert pictures.std(axis=(1, 2)).min() > 5


def test_versions_are_those_of_the_libraries():
    assert versions()["keras"] == keras.__version__
