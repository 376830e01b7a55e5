"""TensorFlow Datasets: prepared data are read offline; others fail fast with a remedy."""

from __future__ import annotations

import socket
import time

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from proxy_keras.data import load_source
from proxy_keras.data.images import resize

SIZES = {"train": 30, "test": 9}


def some_images(split: str) -> np.ndarray:
    rng = np.random.default_rng(len(split))
    return rng.integers(0, 256, (SIZES.get(split, 12), 32, 32, 3), dtype=np.uint8)


class TinyShapes(tfds.core.GeneratorBasedBuilder):
    """Three classes; the split names are set by the test."""

    VERSION = tfds.core.Version("1.0.0")
    splits: tuple[str, ...] = ("train", "test")
    secret: tuple[str, ...] = ()

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "label": tfds.features.ClassLabel(names=["round", "flat", "long"]),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in self.splits}

    def _generate_examples(self, split):
        for place, image in enumerate(some_images(split)):
            label = -1 if split in self.secret else place % 3
            yield place, {"image": image, "label": label}


def prepare(folder, monkeypatch, splits, secret=()):
    monkeypatch.setattr(TinyShapes, "splits", splits)
    monkeypatch.setattr(TinyShapes, "secret", secret)
    TinyShapes(data_dir=folder).download_and_prepare()
    monkeypatch.setattr(socket, "create_connection", _no_network)


def _no_network(*_, **__):
    raise AssertionError("the network was asked")


def load(name, **options):
    return load_source(f"tfds:{name}", **{"image_size": 32, "progress": False} | options)


def contents(subset) -> set[bytes]:
    images = np.concatenate([x for x, _ in subset.batches(8).as_numpy_iterator()])
    return {image.astype(np.uint8).tobytes() for image in images}


def test_prepared_data_are_read_without_a_network(tmp_path, monkeypatch):
    prepare(tmp_path, monkeypatch, ("train", "test"))
    data = load("tiny_shapes", data_dir=tmp_path)
    assert data.classes == ["round", "flat", "long"]
    assert contents(data.test) == {image.tobytes() for image in some_images("test")}
    drawn = contents(data.train) | contents(data.val)
    assert drawn == {image.tobytes() for image in some_images("train")}
    assert len(data.val) == 6
    _, labels = next(data.train.batches(30).as_numpy_iterator())
    assert sorted(labels) == sorted(data.train.labels)


def test_images_are_resized_like_other_images(tmp_path, monkeypatch):
    prepare(tmp_path, monkeypatch, ("train", "test"))
    data = load("tiny_shapes", data_dir=tmp_path, image_size=16)
    assert contents(data.test) == {resize(image, 16).tobytes() for image in some_images("test")}


def test_validation_is_used_as_test_if_there_is_no_test_split(tmp_path, monkeypatch):
    prepare(tmp_path, monkeypatch, ("train", "validation"))
    data = load("tiny_shapes", data_dir=tmp_path)
    assert contents(data.test) == {image.tobytes() for image in some_images("validation")}
    assert len(data.train) + len(data.val) == 30


def test_a_test_split_without_labels_is_not_used(tmp_path, monkeypatch):
    prepare(tmp_path, monkeypatch, ("train", "validation", "test"), secret=("test",))
    data = load("tiny_shapes", data_dir=tmp_path)
    assert contents(data.test) == {image.tobytes() for image in some_images("validation")}


def test_validation_is_val_if_there_is_a_test_split(tmp_path, monkeypatch):
    prepare(tmp_path, monkeypatch, ("train", "validation", "test"))
    data = load("tiny_shapes", data_dir=tmp_path)
    assert contents(data.val) == {image.tobytes() for image in some_images("validation")}
    assert len(data.train) == 30


def test_all_splits_are_drawn_if_there_is_only_train(tmp_path, monkeypatch):
    prepare(tmp_path, monkeypatch, ("train",))
    data = load("tiny_shapes", data_dir=tmp_path, val=0.2, test=0.3)
    assert [len(data.train), len(data.val), len(data.test)] == [15, 6, 9]


def test_without_train_it_is_refused(tmp_path, monkeypatch):
    prepare(tmp_path, monkeypatch, ("test",))
    with pytest.raises(ValueError, match="no train split. It has: test"):
        load("tiny_shapes", data_dir=tmp_path)


def test_a_known_name_reads_mock_data(monkeypatch):
    # Mock data have no metadata on disk: preparing is a no-op, and the splits are set here.
    def as_dataset(self, split, decoders=None, **_):
        files = [tf.io.encode_png(image).numpy() for image in some_images(split)]
        return tf.data.Dataset.from_tensor_slices(
            {"image": files, "label": np.arange(len(files)) % 3}
        )

    asked = []
    monkeypatch.setattr(
        "proxy_keras.data.tfds_source.require_reachable", lambda host, **_: asked.append(host)
    )
    splits = [
        tfds.core.SplitInfo(name=name, shard_lengths=[1], num_bytes=1, filename_template=None)
        for name in SIZES
    ]
    monkeypatch.setattr(tfds.core.DatasetInfo, "splits", tfds.core.SplitDict(splits))
    with tfds.testing.mock_data(as_dataset_fn=as_dataset):
        data = load("cifar100")
    assert asked == ["www.cs.toronto.edu"]
    assert data.num_classes == 100
    assert len(data.test) == 9
    assert data.describe().count(": 97: ") == 3


@pytest.mark.parametrize(
    ("name", "full_name", "host"),
    [
        ("cifar100", "cifar100", "www.cs.toronto.edu"),
        ("imagenette", "imagenette/320px-v2", "s3.amazonaws.com"),
        ("imagenette:160px-v2", "imagenette/160px-v2", "storage.googleapis.com"),
        ("stanford_dogs", "stanford_dogs", "vision.stanford.edu"),
        ("food101", "food101", "data.vision.ee.ethz.ch"),
        ("plant_village", "plant_village", "data.mendeley.com"),
        ("caltech101", "caltech101", "data.caltech.edu"),
        ("mnist", "mnist", "storage.googleapis.com"),
    ],
)
def test_offline_it_fails_fast_and_says_what_to_do(tmp_path, monkeypatch, name, full_name, host):
    def refuse(address, **_):
        raise OSError(101, f"Network is unreachable ({address[0]})")

    monkeypatch.setattr(socket, "create_connection", refuse)
    for variable in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    began = time.monotonic()
    with pytest.raises(ConnectionError) as caught:
        load(name, data_dir=tmp_path)
    assert time.monotonic() - began < 10
    message = str(caught.value)
    assert f"tfds:{name} must be downloaded, but {host}: Network is unreachable" in message
    assert f"tfds.builder('{full_name}', data_dir='data').download_and_prepare()" in message
    assert f"{tmp_path}/{full_name}/" in message


def test_manual_downloads_show_their_instructions(tmp_path):
    with pytest.raises(FileNotFoundError, match="ILSVRC2012_img_train.tar"):
        load("imagenet2012", data_dir=tmp_path)


def test_datasets_without_image_labels_are_refused(tmp_path):
    with pytest.raises(ValueError, match="not an image classification dataset"):
        load("coco", data_dir=tmp_path)
    with pytest.raises(ValueError, match="no dataset or configuration 'no_such_set'"):
        load("no_such_set", data_dir=tmp_path)
    with pytest.raises(ValueError, match="no dataset or configuration 'imagenette/none'"):
        load("imagenette:none", data_dir=tmp_path)
