"""Settings of "auto", measured on the network and the data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras

from proxy_keras.data import ImageData
from proxy_keras.settings import TrainConfig
from proxy_keras.training.batch_size import find_batch_size
from proxy_keras.training.lr_range_test import find_learning_rate


def with_measured(
    config: TrainConfig, model: keras.Model, data: ImageData, folder: Path, *, verbose: int
) -> TrainConfig:
    """Return the settings with a batch size and a learning rate of "auto" measured.

    Args:
        config: The settings.
        model: The network to train; it is left as it was.
        data: The images and their split.
        folder: Run folder, to which the learning rates are written.
        verbose: 0: silent.
    """
    if config.batch_size == "auto":
        found = find_batch_size(
            model,
            data.image_size,
            data.num_classes,
            n_train=len(data.train),
            progress=bool(verbose),
        )
        if verbose:
            print(found)
        config = dataclasses.replace(config, batch_size=found.batch_size)
    if config.lr == "auto":
        result = find_learning_rate(
            model,
            data.train.batches(int(config.batch_size)),
            seed=config.seed,
            progress=bool(verbose),
        )
        result.save(folder)
        if verbose:
            print(f"learning rate {result.lr:.2g}: see {folder / 'lr_range_test.png'}")
        config = dataclasses.replace(config, lr=result.lr)
    return config
