"""Weights from a file: round trips, heads for other classes, other networks, damage."""

from __future__ import annotations

import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from proxy_keras.models import build_model, load_matching_weights


@pytest.fixture(scope="module")
def trained() -> keras.Model:
    """A ResNet-20 whose every weight, moving averages too, differs from a new one's."""
    keras.utils.set_random_seed(5)
    model = build_model("resnet20", num_classes=3, image_size=16)
    rng = np.random.default_rng(5)
    model.set_weights([w + rng.uniform(0.1, 1.0, w.shape) for w in model.get_weights()])
    return model


def save(model: keras.Model, folder: Path, kind: str) -> Path:
    path = folder / f"model.{kind}"
    model.save(path) if kind == "keras" else model.save_weights(path)
    return path


def weights_by_path(model: keras.Model) -> dict[str, np.ndarray]:
    return {variable.path: variable.numpy() for variable in model.weights}


@pytest.mark.parametrize("kind", ["weights.h5", "keras"])
def test_every_weight_comes_back(
    trained: keras.Model, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(trained, tmp_path, kind)
    model = build_model("resnet20", num_classes=3, image_size=16, weights=path)
    loaded = weights_by_path(model)
    assert loaded.keys() == weights_by_path(trained).keys()
    for name, value in weights_by_path(trained).items():
        np.testing.assert_array_equal(loaded[name], value)
    assert "39 of 39 layers were loaded from the file." in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["weights.h5", "keras"])
def test_a_head_for_other_classes_stays_as_it_was(
    trained: keras.Model, kind: str, tmp_path: Path
) -> None:
    model = build_model("resnet20", num_classes=7, image_size=16, dropout=0.2)
    before = weights_by_path(model)
    result = load_matching_weights(model, save(trained, tmp_path, kind))
    assert len(result.loaded) == 38 and "logits" not in result.loaded
    assert result.skipped == {"logits": "vars/0 is (64, 3) in the file and (64, 7) here"}
    after = weights_by_path(model)
    np.testing.assert_array_equal(after["logits/kernel"], before["logits/kernel"])
    np.testing.assert_array_equal(
        after["stem_conv/kernel"], weights_by_path(trained)["stem_conv/kernel"]
    )


def test_an_optimizer_in_the_file_and_dropout_do_no_harm(tmp_path: Path) -> None:
    source = build_model("resnet20", num_classes=2, image_size=16, dropout=0.5)
    source.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    source.optimizer.build(source.trainable_variables)
    source.save(tmp_path / "model.keras")
    model = build_model("resnet20", num_classes=2, image_size=16, dropout=0.5)
    result = load_matching_weights(model, tmp_path / "model.keras")
    assert not result.skipped
    for name, value in weights_by_path(source).items():
        np.testing.assert_array_equal(weights_by_path(model)[name], value)


def test_another_stem_is_named_and_the_rest_is_taken(tmp_path: Path) -> None:
    large = build_model("resnet18", num_classes=2, image_size=64)
    large.save_weights(tmp_path / "large.weights.h5")
    small = build_model("resnet18", num_classes=2, image_size=32)
    result = load_matching_weights(small, tmp_path / "large.weights.h5")
    assert list(result.skipped) == ["conv1_conv"]
    assert "(7, 7, 3, 64) in the file and (3, 3, 3, 64) here" in result.describe()


def test_another_network_is_refused_and_the_model_left_alone(
    trained: keras.Model, tmp_path: Path
) -> None:
    path = save(trained, tmp_path, "weights.h5")
    # Its head has the same name and shapes, which must not pass for a success.
    images = keras.Input((16, 16, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(64, 3, name="other")(images))
    model = keras.Model(images, keras.layers.Dense(3, name="logits")(pooled))
    before = model.get_weights()
    with pytest.raises(ValueError, match="no weights for the backbone") as caught:
        load_matching_weights(model, path)
    assert "other: not in the file" in str(caught.value)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("kind", ["weights.h5", "keras"])
@pytest.mark.parametrize("damage", ["empty", "text", "half"])
def test_a_damaged_file_is_refused(
    trained: keras.Model, kind: str, damage: str, tmp_path: Path
) -> None:
    path = save(trained, tmp_path, kind)
    content = path.read_bytes()
    broken = {"empty": b"", "text": b"no weights", "half": content[: len(content) // 2]}[damage]
    path.write_bytes(broken)
    with pytest.raises(ValueError, match="damaged or was not written by Keras 3"):
        build_model("resnet20", num_classes=3, image_size=16, weights=path)


def test_a_missing_file_and_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no.keras does not exist"):
        build_model("resnet20", num_classes=3, image_size=16, weights=tmp_path / "no.keras")
    with pytest.raises(ValueError, match=r"read from \.weights\.h5 and \.keras"):
        build_model("resnet20", num_classes=3, image_size=16, weights="imagnet")


def test_an_archive_without_weights_and_a_foreign_hdf5_file_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        file["x"] = np.zeros(3)
    model = build_model("resnet20", num_classes=3, image_size=16)
    for name in ("a.keras", "a.weights.h5"):
        with pytest.raises(ValueError, match="not written by Keras 3"):
            load_matching_weights(model, tmp_path / name)
