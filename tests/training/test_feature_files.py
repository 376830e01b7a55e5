"""Features that are kept for other runs: computed once for the same images and frozen layers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from proxy_keras.data import ImageData
from proxy_keras.data.data_split import DataSplit
from proxy_keras.models import build_model
from proxy_keras.models.frozen_split import split_frozen
from proxy_keras.settings import DataConfig, TrainConfig
from proxy_keras.training import run as runs
from proxy_keras.training import stored_features
from proxy_keras.training.feature_files import FeatureFiles

TOO_SHORT = b"\x93NUMPY\x01\x00v\x00" + (
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }".ljust(117) + b"\n" + bytes(4)
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An npz file of 60 + 12 noisy images of 16 px in two classes."""
    draw = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "noise.npz"
    np.savez(
        path,
        x_train=draw.integers(0, 256, (60, 16, 16, 3), np.uint8),
        y_train=np.arange(60) % 2,
        x_test=draw.integers(0, 256, (12, 16, 16, 3), np.uint8),
        y_test=np.arange(12) % 2,
        classes=np.array(["a", "b"]),
    )
    return f"npz:{path}"


class Counted:
    """Computes features of a split, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0
        self.rows = 0

    def of(self, split: DataSplit) -> Counted:
        self.rows = len(split)
        return self

    def __call__(self) -> NDArray[np.float32]:
        self.calls += 1
        return np.full([self.rows, 3], self.calls, np.float32)


def test_features_are_computed_once_for_what_they_depend_on(source: str, tmp_path: Path) -> None:
    config = TrainConfig(DataConfig(source), model="small_cnn", freeze=True, batch_size=8)
    data = ImageData.from_source(source)
    model = build_model("small_cnn", num_classes=2, image_size=16)
    compute = Counted()

    def files(config: TrainConfig = config) -> FeatureFiles:
        return FeatureFiles(tmp_path / "kept", split_frozen(model), config)

    first = files().get(data.val, compute.of(data.val))
    np.testing.assert_array_equal(files().get(data.val, compute.of(data.val)), first)
    # The head, and where an index of the files is kept, change nothing.
    model.get_layer("logits").bias.assign([5.0, 5.0])
    other_index = dataclasses.replace(config, data=DataConfig(source, index="none"))
    files(other_index).get(data.val, compute.of(data.val))
    assert compute.calls == 1 and len(list((tmp_path / "kept").iterdir())) == 1

    files().get(data.train, compute.of(data.train))
    files(dataclasses.replace(config, batch_size=4)).get(data.val, compute.of(data.val))
    files(dataclasses.replace(config, data=DataConfig(source, shortcut=0.5))).get(
        data.val, compute.of(data.val)
    )
    model.layers[2].kernel.assign(model.layers[2].kernel + 1.0)
    files().get(data.val, compute.of(data.val))
    assert compute.calls == 5 and len(list((tmp_path / "kept").iterdir())) == 5


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUMPY\x01\x00v\x00", b"PK\x03\x04 no array", TOO_SHORT]
)
def test_a_damaged_file_is_written_anew(
    content: bytes, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = TrainConfig(DataConfig(source), model="small_cnn", freeze=True, batch_size=8)
    split = split_frozen(build_model("small_cnn", num_classes=2, image_size=16))
    data, compute = ImageData.from_source(source), Counted()
    files = FeatureFiles(tmp_path, split, config)
    files.get(data.val, compute.of(data.val))
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    np.testing.assert_array_equal(
        files.get(data.val, compute.of(data.val)), np.full([len(data.val), 3], 2.0)
    )
    assert f"{path} is damaged" in capsys.readouterr().out
    files.get(data.val, compute.of(data.val))
    assert compute.calls == 2


def test_a_second_run_does_not_run_the_frozen_layers(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras.utils.set_random_seed(5)
    weights = tmp_path / "start.weights.h5"
    build_model("small_cnn", num_classes=2, image_size=16).save_weights(weights)
    config = TrainConfig(
        DataConfig(source),
        None,
        model="small_cnn",
        weights=str(weights),
        freeze=True,
        features=str(tmp_path / "features"),
        epochs=1,
        batch_size=17,
        flip=0.0,
        rotation=0.0,
        precision="float32",
    )

    def trained(name: str) -> tuple[list[NDArray[np.float32]], dict[str, object]]:
        run = runs.prepare(config, tmp_path / name, verbose=0)
        metrics = runs.train(run, verbose=0)
        return run.model.get_weights(), {name: metrics[name] for name in ("val", "test")}

    first, metrics = trained("first")
    # Training, validation and test images.
    assert len(list((tmp_path / "features").iterdir())) == 3
    collect, computed = stored_features.collect, []

    def counted(part: Any, positions: NDArray[np.int64], *others: Any, **options: Any) -> Any:
        computed.append(len(positions))
        return collect(part, positions, *others, **options)

    monkeypatch.setattr(stored_features, "collect", counted)
    second, metrics_2 = trained("second")
    assert sum(computed) == 0
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
    assert metrics == metrics_2
    config = dataclasses.replace(config, features=None)
    unkept, metrics_3 = trained("unkept")
    assert sum(computed) == 72
    for one, two in zip(first, unkept, strict=True):
        np.testing.assert_array_equal(one, two)
    assert metrics == metrics_3


def test_it_needs_frozen_layers() -> None:
    with pytest.raises(ValueError, match="`features` keeps those of frozen layers: use `freeze`"):
        TrainConfig(DataConfig("digits"), features="kept")
