"""Datasets of TensorFlow Datasets; prepared data need no network."""

from __future__ import annotations

import os

import tensorflow as tf
import tensorflow_datasets as tfds

from proxy_keras.data.image_source import ImageSource, dataset_source
from proxy_keras.io.reachability import require_reachable

# Datasets that are known to work: the name in TensorFlow Datasets, and the host of the files.
# plant_village has only a train split: val and test are drawn. imagenette and food101 call their
# test split "validation". The 320 px copy of imagenette is enough for 224 px, at a fifth of the
# size.
_KNOWN = {
    "cifar100": ("cifar100", "www.cs.toronto.edu"),
    "stanford_dogs": ("stanford_dogs", "vision.stanford.edu"),
    "imagenette": ("imagenette/320px-v2", "s3.amazonaws.com"),
    "food101": ("food101", "data.vision.ee.ethz.ch"),
    "plant_village": ("plant_village", "data.mendeley.com"),
    "caltech101": ("caltech101", "data.caltech.edu"),
}

# The hosts of other datasets are unknown. TensorFlow Datasets keeps its own files on this one, so
# if it cannot be reached, there is probably no network.
_DEFAULT_HOST = "storage.googleapis.com"


def tfds_source(
    name: str,
    *,
    image_size: int,
    data_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> ImageSource:
    """Read a dataset of TensorFlow Datasets, with its own test split if it has one.

    The test split is the dataset's "test" or, if that is missing or unlabelled, its "validation".
    The val split is "validation" unless that is used as test. Missing splits are drawn from
    "train".

    Args:
        name: "cifar100", "stanford_dogs", "imagenette", "food101", "plant_village", "caltech101",
            or the "NAME" or "NAME:CONFIG" of any other image classification dataset.
        image_size: Side of the images in pixels.
        data_dir: Folder to read prepared data from or write them to; None: the default of
            TensorFlow Datasets.
        progress: Show progress bars.

    Raises:
        ValueError: The dataset does not exist, or is not an image classification dataset.
        FileNotFoundError: Its licence requires that its files be downloaded by hand.
        ConnectionError: It is not on disk and its host cannot be reached; raised within seconds.
    """
    builder = _builder(name, data_dir)
    image_key, label_key = _keys(builder, name)
    _prepare(builder, name)
    splits = set(builder.info.splits)
    if "train" not in splits:
        raise ValueError(f"tfds:{name} has no train split. It has: {', '.join(sorted(splits))}")

    def read(split: str) -> tf.data.Dataset:
        # Not decoded here, so that these images are decoded the same way as all others.
        dataset = builder.as_dataset(
            split=split, shuffle_files=False, decoders={image_key: tfds.decode.SkipDecoding()}
        )
        return dataset.map(lambda element: (element[image_key], element[label_key]))

    own = {"val": "validation", "test": "test"}
    if "test" not in splits or not _is_labelled(read("test")):
        own = {"test": "validation"}
    return dataset_source(
        read("train"),
        **{ours: read(theirs) for ours, theirs in own.items() if theirs in splits},
        classes=builder.info.features[label_key].names,
        image_size=image_size,
        progress=progress,
    )


def _builder(name: str, data_dir: str | os.PathLike[str] | None) -> tfds.core.DatasetBuilder:
    full_name = _KNOWN[name][0] if name in _KNOWN else name.replace(":", "/")
    try:
        return tfds.builder(full_name, data_dir=data_dir, try_gcs=False)
    except (tfds.core.registered.DatasetNotFoundError, ValueError) as error:
        raise ValueError(
            f"TensorFlow Datasets has no dataset or configuration {full_name!r}. Pass tfds:NAME or "
            f"tfds:NAME:CONFIG; known to work: {', '.join(_KNOWN)}."
        ) from error


def _keys(builder: tfds.core.DatasetBuilder, name: str) -> tuple[str, str]:
    """Return the feature names of the images and their labels."""
    features = builder.info.features
    keys = builder.info.supervised_keys
    if (
        keys is None
        or len(keys) != 2
        or not isinstance(features[keys[0]], tfds.features.Image)
        or not isinstance(features[keys[1]], tfds.features.ClassLabel)
    ):
        raise ValueError(f"tfds:{name} is not an image classification dataset.")
    return keys[0], keys[1]


def _prepare(builder: tfds.core.DatasetBuilder, name: str) -> None:
    """Download the dataset unless it is on disk."""
    if builder.is_prepared():
        return
    what = f"The dataset tfds:{name}"
    full_name = builder.info.full_name.removesuffix(f"/{builder.version}")
    remedy = (
        "Or copy it by hand: on a machine with a network, run\n"
        f'  python -c "import tensorflow_datasets as tfds; '
        f"tfds.builder('{full_name}', data_dir='data').download_and_prepare()\"\n"
        f"and copy the folder data/{builder.info.full_name} to\n  {builder.data_path}"
    )
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        raise FileNotFoundError(
            f"{what} cannot be downloaded automatically:\n"
            f"{builder.MANUAL_DOWNLOAD_INSTRUCTIONS}\n{remedy}"
        )
    host = _KNOWN[name][1] if name in _KNOWN else _DEFAULT_HOST
    require_reachable(host, what=what, remedy=remedy)
    builder.download_and_prepare()


def _is_labelled(dataset: tf.data.Dataset) -> bool:
    """Return whether the first element has a label; it is -1 in a test split without labels."""
    return any(int(label) >= 0 for _, label in dataset.take(1).as_numpy_iterator())
