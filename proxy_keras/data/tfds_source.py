"""load_tfds: a data set of TensorFlow Datasets; prepared data are read without a network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from proxy_keras.data.image_data import ImageData
from proxy_keras.io.reachability import require_reachable


@dataclass(frozen=True)
class _Known:
    """A data set whose place on the network is known.

    Attributes:
        name: What TensorFlow Datasets calls it, with its configuration.
        host: Where its files are downloaded from.
    """

    name: str
    host: str


# plant_village has a train split alone: val and test are drawn. imagenette and food101 call their
# test split "validation". The 320 px copy of imagenette is enough for 224 px, at a fifth of the
# size.
_KNOWN = {
    "cifar100": _Known("cifar100", "www.cs.toronto.edu"),
    "stanford_dogs": _Known("stanford_dogs", "vision.stanford.edu"),
    "imagenette": _Known("imagenette/320px-v2", "s3.amazonaws.com"),
    "food101": _Known("food101", "data.vision.ee.ethz.ch"),
    "plant_village": _Known("plant_village", "data.mendeley.com"),
    "caltech101": _Known("caltech101", "data.caltech.edu"),
}

# Where other data sets come from is written in their code alone; TensorFlow Datasets itself keeps
# its files here, so without a way to this host there is hardly a network.
_ANY_HOST = "storage.googleapis.com"


def load_tfds(
    name: str,
    *,
    image_size: int,
    data_dir: str | os.PathLike[str] | None = None,
    val: float = 0.15,
    test: float = 0.15,
    **options: Any,
) -> ImageData:
    """The images of a data set of TensorFlow Datasets, with the data set's own test split.

    Its "test" is our test; or, where that is missing or has no labels, its "validation"; or else it
    is drawn. Its "validation" is our val if it is not needed as test; or else val is drawn from
    "train".

    Args:
        name: "cifar100", "stanford_dogs", "imagenette", "food101", "plant_village", "caltech101",
            or any other name, "NAME" or "NAME:CONFIG", of an image classification data set.
        image_size: Side of the images in pixels.
        data_dir: Where prepared data lie, or are to be written; None: the library's own place.
        val: Share for val where it is drawn.
        test: Share for test where it is drawn.
        **options: The other arguments of `ImageData.from_dataset`.

    Raises:
        ValueError: There is no such data set, or it is not one of images with a class each.
        FileNotFoundError: Its files must be downloaded by hand, for their licence wants that.
        ConnectionError: It is not on disk and its host cannot be reached; raised in seconds.
    """
    builder = _builder(name, data_dir)
    image_key, label_key = _keys(builder, name)
    _prepare(builder, name)
    splits = set(builder.info.splits)
    if "train" not in splits:
        raise ValueError(f"tfds:{name} has no train split. It has: {', '.join(sorted(splits))}")

    def read(split: str) -> tf.data.Dataset:
        # Left as bytes, so that they are decoded as all other images are.
        dataset = builder.as_dataset(
            split=split, shuffle_files=False, decoders={image_key: tfds.decode.SkipDecoding()}
        )
        return dataset.map(lambda element: (element[image_key], element[label_key]))

    own = {"val": "validation", "test": "test"}
    if "test" not in splits or not _is_labelled(read("test")):
        own = {"test": "validation"}
    return ImageData.from_dataset(
        read("train"),
        **{ours: read(theirs) for ours, theirs in own.items() if theirs in splits},
        classes=builder.info.features[label_key].names,
        image_size=image_size,
        val_share=val,
        test_share=test,
        **options,
    )


def _builder(name: str, data_dir: str | os.PathLike[str] | None) -> tfds.core.DatasetBuilder:
    known = _KNOWN.get(name)
    full_name = known.name if known else name.replace(":", "/")
    try:
        return tfds.builder(full_name, data_dir=data_dir, try_gcs=False)
    except (tfds.core.registered.DatasetNotFoundError, ValueError) as error:
        raise ValueError(
            f"TensorFlow Datasets has no data set or configuration {full_name!r}. Give "
            f"tfds:NAME or tfds:NAME:CONFIG; known to work: {', '.join(_KNOWN)}."
        ) from error


def _keys(builder: tfds.core.DatasetBuilder, name: str) -> tuple[str, str]:
    """What the data set calls its images and their class."""
    features = builder.info.features
    keys = builder.info.supervised_keys
    if (
        keys is None
        or len(keys) != 2
        or not isinstance(features[keys[0]], tfds.features.Image)
        or not isinstance(features[keys[1]], tfds.features.ClassLabel)
    ):
        raise ValueError(f"tfds:{name} is not a data set of images with a class each.")
    return keys[0], keys[1]


def _prepare(builder: tfds.core.DatasetBuilder, name: str) -> None:
    """Returns when the data set is on disk."""
    if builder.is_prepared():
        return
    what = f"The data set tfds:{name}"
    full_name = builder.info.full_name.removesuffix(f"/{builder.version}")
    remedy = (
        "Or bring it by hand: where there is a network, run\n"
        f'  python -c "import tensorflow_datasets as tfds; '
        f"tfds.builder('{full_name}', data_dir='data').download_and_prepare()\"\n"
        f"and copy the folder data/{builder.info.full_name} to\n  {builder.data_path}"
    )
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        raise FileNotFoundError(
            f"{what} cannot be downloaded automatically:\n"
            f"{builder.MANUAL_DOWNLOAD_INSTRUCTIONS}\n{remedy}"
        )
    host = _KNOWN[name].host if name in _KNOWN else _ANY_HOST
    require_reachable(host, what=what, remedy=remedy)
    builder.download_and_prepare()


def _is_labelled(dataset: tf.data.Dataset) -> bool:
    """Whether the first element has a label: a test split that is kept secret has -1 there."""
    return any(int(label) >= 0 for _, label in dataset.take(1).as_numpy_iterator())
