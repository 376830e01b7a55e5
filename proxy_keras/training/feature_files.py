"""Features of frozen layers as files, for other runs over the same images and layers."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.data.data_split import DataSplit
from proxy_keras.models.frozen_split import FrozenSplit
from proxy_keras.settings import TrainConfig


class FeatureFiles:
    """A folder of features, one file for each split of the images.

    The name of a file is a hash of all that its features depend on: the frozen layers and their
    weights, the images, the settings of the data, the batch size, the precision and the version of
    TensorFlow. Several processes can use a folder at once.

    Args:
        folder: The folder; made with the first file.
        split: The network, whose frozen part computes the features.
        config: The settings of the run.
    """

    def __init__(self, folder: Path, split: FrozenSplit, config: TrainConfig) -> None:
        self._folder = folder
        depends_on = {
            "body": split.body_sha256(),
            "data": config.data.compared(),
            "batch_size": config.batch_size,
            "precision": config.precision,
            "tensorflow": tf.__version__,
        }
        self._depends_on = json.dumps(depends_on, sort_keys=True)

    def get(
        self, split: DataSplit, compute: Callable[[], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Return the features of the originals of a split, [N, ...], computed where they are new.

        A file that cannot be read is written anew, with a line that says so.

        Args:
            split: The split.
            compute: Returns the features.
        """
        name = hashlib.sha256(
            "\n".join([self._depends_on, *split.example_ids]).encode()
        ).hexdigest()
        path = self._folder / f"{name}.npy"
        if path.is_file():
            try:
                return _read(path, len(split))
            except ValueError as error:
                print(f"{path} is damaged, so the features are computed anew: {error}")
        features = compute()
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder) as own:
            unfinished = Path(own) / path.name
            np.save(unfinished, features)
            os.replace(unfinished, path)
        return features


def _read(path: Path, count: int) -> NDArray[np.float32]:
    with path.open("rb") as file:
        features = np.lib.format.read_array(file, allow_pickle=False)
    if features.dtype != np.float32 or len(features) != count:
        raise ValueError(
            f"{count} rows of float32 are expected. Received: {features.dtype} {features.shape}"
        )
    return features
