"""Training of the last layers alone, on features that are computed once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.data import ImageData
from proxy_keras.data.data_split import DataSplit
from proxy_keras.data.feature_store import FeatureStore
from proxy_keras.data.proxy_maker import DonorCells, make_proxies
from proxy_keras.data.proxy_store import KeptProxies
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.distribution import Team
from proxy_keras.heatmaps.eight_bit import dequantise
from proxy_keras.models.frozen_split import FrozenSplit, split_frozen
from proxy_keras.settings import TrainConfig
from proxy_keras.training.feature_files import FeatureFiles
from proxy_keras.training.feature_pass import collect, compiled
from proxy_keras.training.fit_input import FitInput, called_as

MOST_BYTES = 2**30
"""Largest size of the features of all training and validation images. Those of proxies take at most
as much again."""


def make_input(
    config: TrainConfig,
    data: ImageData,
    model: keras.Model,
    team: Team,
    *,
    verbose: int,
    images: Callable[..., FitInput] = FitInput,
    stored: Callable[..., StoredFeatures] | None = None,
    split: FrozenSplit | None = None,
) -> FitInput:
    """Return what `fit` trains the model with: stored features where they are possible.

    With `freeze` and without them, prints why.

    Args:
        config: The settings.
        data: The images and their split.
        model: The network, frozen as `config.freeze` says.
        team: The devices that train.
        verbose: 0: silent.
        images: Makes the input of images.
        stored: Makes that of stored features; None: `StoredFeatures`.
        split: The network, cut where features are stored, if only its last layer is trained; None:
            before that layer.
    """
    if config.freeze:
        try:
            check_storable(config)
            cut = _cut(config, model, split)
            check_size(cut, data)
        except ValueError as error:
            if verbose:
                print(f"Features are not stored; each epoch runs the whole network. {error}")
        else:
            features = (stored or StoredFeatures)(config, data, team, cut, verbose=verbose)
            if verbose:
                print(features.describe())
            return features
    return images(config, data, team, verbose=verbose)


def _cut(config: TrainConfig, model: keras.Model, split: FrozenSplit | None) -> FrozenSplit:
    if split is None:
        return split_frozen(model, config.first_trained)
    if config.first_trained is not None:
        raise ValueError(
            f"--freeze {config.first_trained} trains layers before the last feature maps, which "
            f"--robust {config.robust} needs. To store features: --freeze."
        )
    return split


def check_storable(config: TrainConfig) -> None:
    """Check that the settings let the features of an image stay the same in every epoch.

    Raises:
        ValueError: They do not.
    """
    changing = {
        f"--flip {config.flip:g}": config.flip > 0,
        f"--rotation {config.rotation:g}": config.rotation > 0,
        **dict.fromkeys((f"--aug {text}" for text in config.augment), True),
    }
    if names := [name for name, is_used in changing.items() if is_used]:
        raise ValueError(
            f"{', '.join(names)} changes images anew each time. To store features: --flip 0 "
            "--rotation 0, without --aug."
        )
    if config.proxy is not None and config.proxy.wrong_from == "train":
        raise ValueError(
            "--wrong-from train explains the training steps. To store features: --wrong-from "
            "evaluation."
        )
    if config.strategy != "none":
        raise ValueError(
            f"--strategy {config.strategy} trains on several devices. To store features: "
            "--strategy none."
        )


def check_size(split: FrozenSplit, data: ImageData) -> None:
    """Check that the features of all training and validation images fit into memory.

    Raises:
        ValueError: They are larger than `MOST_BYTES`.
    """
    size = data.image_size
    one = split.body(tf.zeros([1, size, size, 3]))
    count = len(data.train) + len(data.val)
    needed = count * 4 * int(tf.size(one))
    if needed > MOST_BYTES:
        raise ValueError(
            f"Those of {count:,} images take {needed / 2**30:.1f} GiB in memory; the limit is "
            f"{MOST_BYTES / 2**30:.0f}. To store features: fewer images, with --limit, or fewer "
            "trained layers."
        )


class StoredFeatures(FitInput):
    """Features of the frozen layers for `fit`, which then only runs the trained ones.

    The features of originals are computed here, once. Those of proxies are computed once per
    proxy step if a proxy always looks the same; one with noise, or with a donor that it does not
    keep, is drawn anew each time that it is shown, so its image goes through the network. Both
    give the same training as images do, apart from rounding.

    Args:
        config: The settings.
        data: The images and their split.
        team: The devices that train; one.
        split: The network in two parts, the frozen and the trained one.
        verbose: 0: silent.
    """

    def __init__(
        self,
        config: TrainConfig,
        data: ImageData,
        team: Team,
        split: FrozenSplit,
        *,
        verbose: int,
    ) -> None:
        super().__init__(config, data, team, verbose=verbose)
        self._split = split
        self._seen: NDArray[np.int32] | None = None
        self._body = compiled(split.body, [data.image_size, data.image_size, 3])
        self._files = None
        if config.features is not None:
            self._files = FeatureFiles(Path(config.features), split, config)
        self._train, self._val = (
            FeatureStore(self._originals(part)) for part in (data.train, data.val)
        )

    def describe(self) -> str:
        """Return a line that says what is stored."""
        arrays = self._train.originals, self._val.originals
        return (
            f"Stored the features of {sum(map(len, arrays)):,} images in {self.seconds:.0f} s "
            f"({sum(array.nbytes for array in arrays) / 2**20:.0f} MiB): from now on, originals "
            "only need the trained layers."
        )

    def training(self) -> Any:
        """Return the training batches, see `TrainSplit.batches`."""
        return self._data.train.batches(
            int(self._config.batch_size),
            features=self._train,
            weights=self.weights,
            also=self.also,
        )

    def validation(self, *, with_groups: bool = False) -> Any:
        """Return the validation batches, see `FitInput.validation`."""
        val = self._data.val
        groups = [val.groups.ids] if with_groups else []
        return self._val.batches(int(self._config.batch_size), val.labels, *groups)

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """Return the callback that stores the features of proxies after a proxy step."""
        return [keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: self._update())]

    def accepted_by(self, model: keras.Model) -> AbstractContextManager[None]:
        """Make `fit` of the model take features in place of images."""

        def call(inputs: dict[str, tf.Tensor], training: Any = None, mask: Any = None) -> Any:
            features = inputs["features"]
            if "images" in inputs:
                features = self._completed(features, inputs["is_image"], inputs["images"])
            return self._split.head(features)

        return called_as(model, call)

    def _completed(self, features: tf.Tensor, is_image: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        """Return features [B, ...] with those of images [n, P, P, 3] where `is_image` [B]."""
        computed = tf.cond(
            tf.reduce_any(is_image),
            lambda: self._body(images),
            lambda: tf.zeros([0, *features.shape[1:]]),
        )
        return tf.tensor_scatter_nd_update(features, tf.where(is_image), computed)

    def _update(self) -> None:
        """Store the features of the proxies if they never change and others have come."""
        data = self._data.train
        if not data.attenuation.is_fixed:
            self._train.forget_proxies()
        # The store replaces the array at every change.
        elif self._seen is not data.store.positions:
            self._seen = data.store.positions
            changed = changed_proxies(data)
            made = fixed_proxies(data, changed, int(self._config.batch_size))
            features = self._compute(changed.positions, made, "proxies")
            self._train.put_proxies(changed.positions, features)

    def _originals(self, split: DataSplit) -> NDArray[np.float32]:
        """Return the features of all originals of a split, [N, ...]."""

        def compute() -> NDArray[np.float32]:
            batches = split.originals(int(self._config.batch_size))
            return self._compute(np.arange(len(split)), batches, split.name)

        return compute() if self._files is None else self._files.get(split, compute)

    def _compute(
        self, positions: NDArray[np.int64], batches: Iterable[Any], name: str
    ) -> NDArray[np.float32]:
        """Return the features [n, ...] of ascending positions [n], given in batches with images."""
        began, cpu_began = time.perf_counter(), time.process_time()
        features = collect(
            self._body,
            positions,
            batches,
            batch_size=int(self._config.batch_size),
            name=name,
            progress=self._shows_progress,
        )
        self.seconds += time.perf_counter() - began
        self.cpu_seconds += time.process_time() - cpu_began
        return features

    def last_features(self, model: keras.Model, split: DataSplit) -> NDArray[np.float32]:
        """Return the inputs of the last layer: the stored features, if it alone is trained."""
        if self._config.first_trained is not None:
            return super().last_features(model, split)
        return self._features(split)

    def logits(self, model: keras.Model, split: DataSplit) -> NDArray[np.float32]:
        """Return the logits of the originals, [N, K], from their features."""
        features, size = self._features(split), int(self._config.batch_size)
        head = compiled(self._split.head, features.shape[1:])
        starts = range(0, len(features), size)
        return np.concatenate([head(features[at : at + size]).numpy() for at in starts])

    def _features(self, split: DataSplit) -> NDArray[np.float32]:
        """Return the features of the originals; those of test images are computed when needed."""
        for stored, known in ((self._train, self._data.train), (self._val, self._data.val)):
            if split is known:
                return stored.originals
        return self._test

    @cached_property
    def _test(self) -> NDArray[np.float32]:
        return self._originals(self._data.test)


def changed_proxies(data: TrainSplit) -> KeptProxies:
    """Return the proxies that may differ from their originals."""
    # With donors, one without a masked region of its own is given another's.
    return data.store.kept() if data.attenuation.needs_donors else data.store.masked()


def fixed_proxies(
    data: TrainSplit, proxies: KeptProxies, batch_size: int
) -> Iterator[tuple[Any, tf.Tensor]]:
    """Yield proxies of a split that look the same whenever they are shown.

    They are batches of (positions int64 [B], images float32 [B, P, P, 3] in [0, 255]).
    """
    if len(proxies.positions) == 0:
        return
    for positions, images, _ in data.originals(batch_size, proxies.positions):
        places = positions.numpy()
        rows = np.searchsorted(proxies.positions, places)
        donors = data.draw_donors(places, np.ones([len(places)], bool))
        yield (
            positions,
            make_proxies(
                images,
                tf.constant(dequantise(proxies.heatmaps[rows])),
                tf.constant(proxies.thresholds[rows]),
                recipe=data.attenuation.recipe,
                donors=DonorCells(*donors),
                seed=tf.constant([0, 0], tf.int64),
            ),
        )
