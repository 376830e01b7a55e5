"""Subset: a split of the data as tf.data batches; the training one serves proxies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.augment.attenuate import REPLACEMENTS, attenuate
from proxy_keras.heatmaps import enlarge
from proxy_keras.store import ProxyStore

Finish = Callable[[NDArray[np.uint8], NDArray[np.int64]], NDArray[np.uint8]]
"""Changes read images [B, P, P, 3], given their rows [B]: a pure function of both."""

Augment = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""(images [B, P, P, 3] float32 in [0, 255], labels, seed [2] int64) -> images, labels."""


class RowReader(Protocol):
    """Reads any rows of a data set: arrays or files."""

    image_size: int

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Images of the rows [B]: uint8 [B, P, P, 3]. Called from several threads."""


@runtime_checkable
class Undoable(Protocol):
    """An augmentation whose geometry can be undone, such as `augment.FlipAndRotate`."""

    def undo(self, heatmaps: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Heatmaps [B, h, w] of the images that it made with this seed, as of its inputs."""


@runtime_checkable
class RowStream(Protocol):
    """Reads a data set that can only be read from its beginning, in a fixed order."""

    image_size: int

    def stream(self, rows: NDArray[np.int64]) -> tf.data.Dataset:
        """The given rows, in the order of the stream: (row int64, image uint8 [P, P, 3])."""


class Subset:
    """One split of the data, read in a fixed order.

    Args:
        reader: Where the images come from.
        rows: [n] int64, the reader's rows that belong to the split.
        labels: [n] int32 class ids.
        example_ids: n ids, unique.
        name: "train", "val" or "test".
        seed: Keys everything random.
        classes: Names of the classes, by class id.
        finish: Applied to the images as they are read; None: nothing.
    """

    def __init__(
        self,
        reader: RowReader | RowStream,
        rows: NDArray[np.int64],
        labels: NDArray[np.int32],
        example_ids: Sequence[str],
        *,
        name: str,
        seed: int,
        classes: Sequence[str],
        finish: Finish | None = None,
    ) -> None:
        self.rows = np.asarray(rows, np.int64)
        self.labels = np.asarray(labels, np.int32)
        self.example_ids = list(example_ids)
        self.name = name
        self.seed = seed
        self.classes = list(classes)
        self.image_size = reader.image_size
        self._reader = reader
        self._finish = finish

    def __len__(self) -> int:
        """The number of examples."""
        return len(self.rows)

    def batches(self, batch_size: int, *, one_hot: bool = False) -> tf.data.Dataset:
        """The examples in a fixed order, once.

        Args:
            batch_size: Examples per batch, >= 1; the last batch may be smaller.
            one_hot: Labels as [B, K] float32 instead of [B] int32 class ids.

        Returns:
            Batches of (images float32 [B, P, P, 3] in [0, 255], labels).
        """
        return self.originals(batch_size).map(
            lambda positions, images, labels: (images, self._encode(labels, one_hot))
        )

    def originals(
        self, batch_size: int, positions: NDArray[np.int64] | None = None
    ) -> tf.data.Dataset:
        """Unchanged examples by position, in ascending order of position where they are chosen.

        Args:
            batch_size: Examples per batch, >= 1.
            positions: [m] which of the split's examples, counted from 0; None: all of them.

        Returns:
            Batches of (positions int64 [B], images float32 [B, P, P, 3] in [0, 255], labels int32
            [B]). The order is fixed, but a stream keeps its own.
        """
        _check_batch_size(batch_size)
        chosen = np.arange(len(self)) if positions is None else np.sort(positions)
        reader = self._reader
        if isinstance(reader, RowStream):
            batches = self._streamed(reader, chosen).batch(batch_size)
        else:
            batches = tf.data.Dataset.from_tensor_slices(chosen.astype(np.int64)).batch(batch_size)
            batches = batches.map(partial(self._read, reader), num_parallel_calls=tf.data.AUTOTUNE)
        batches = batches.map(
            lambda places, images: (
                places,
                tf.cast(images, tf.float32),
                tf.gather(tf.constant(self.labels), places),
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return _finished(batches, len(chosen), batch_size)

    def _encode(self, labels: tf.Tensor, one_hot: bool) -> tf.Tensor:
        return tf.one_hot(labels, len(self.classes)) if one_hot else labels

    def _read(self, reader: RowReader, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Positions [B] and their images: uint8 [B, P, P, 3]."""

        def read(places: NDArray[np.int64]) -> NDArray[np.uint8]:
            rows = self.rows[places]
            return self._completed(reader.read(rows), rows)

        images = _in_python(read, [positions], tf.uint8)
        return positions, tf.ensure_shape(images, [None, self.image_size, self.image_size, 3])

    def _streamed(self, reader: RowStream, positions: NDArray[np.int64]) -> tf.data.Dataset:
        """(position int64, image uint8 [P, P, 3]), in the order of the stream."""
        position_of = np.full([int(self.rows.max()) + 1], -1, np.int64)
        position_of[self.rows[positions]] = positions

        def complete(row: tf.Tensor, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            done = _in_python(
                lambda image, row: self._completed(image[None], row[None])[0],
                [image, row],
                tf.uint8,
            )
            return tf.gather(tf.constant(position_of), row), tf.ensure_shape(done, image.shape)

        return reader.stream(self.rows[positions]).map(
            complete, num_parallel_calls=tf.data.AUTOTUNE
        )

    def _completed(self, images: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return images if self._finish is None else self._finish(images, rows)


@dataclass(frozen=True)
class Attenuation:
    """How a proxy is made of its original: see `augment.attenuate`."""

    weight: float = 0.1
    replacement: str = "blended"


class Served(NamedTuple):
    """How the training batches were made that were asked for last."""

    batch_size: int
    augment: Augment | None


class TrainSubset(Subset):
    """The training split: shuffled anew each epoch, proxies in place of their originals.

    Its `store` says which examples have a proxy, and `attenuation` how a proxy is made of them.
    `ProxyAttention` sets both; datasets read them batch by batch, also datasets built earlier.
    """

    SHUFFLE_BUFFER = 4096
    """Examples in the shuffle buffer of a stream. Arrays and files are shuffled completely."""

    attenuation = Attenuation()
    served: Served | None = None

    @cached_property
    def store(self) -> ProxyStore:
        """Which examples have a proxy, and the heatmap of each."""
        return ProxyStore(self.example_ids, seed=self.seed)

    def reseed(self, seed: int) -> None:
        """Keys order, augmentation and draws of proxies by another seed than the split's.

        Removes all proxies. Datasets built earlier must not be read any more.
        """
        self.seed = seed
        self.store = ProxyStore(self.example_ids, seed=seed)

    def batches(
        self, batch_size: int, *, one_hot: bool = False, augment: Augment | None = None
    ) -> tf.data.Dataset:
        """The examples of an epoch in random order; those with a proxy as their proxy.

        Hand the result to `fit` as it is: without `repeat`, `cache` or `steps_per_epoch`, each
        epoch opens it anew and sees the proxies of that epoch. `ProxyAttention` stops a training
        whose arrangement would serve old ones.

        Args:
            batch_size: Examples per batch, >= 1; the last batch may be smaller.
            one_hot: Labels as [B, K] float32 instead of [B] int32 class ids.
            augment: Random augmentation after the proxies, such as `augment.FlipAndRotate()`.

        Returns:
            Batches of (images float32 [B, P, P, 3] in [0, 255], labels). Order and augmentation
            depend on (seed, epoch, batch) alone.
        """
        _check_batch_size(batch_size)
        self.served = Served(batch_size, augment)
        batches = tf.data.Dataset.range(1).flat_map(self._opened).batch(batch_size)
        batches = batches.enumerate().map(self._look_up)
        reader = self._reader
        if not isinstance(reader, RowStream):
            batches = batches.map(
                lambda positions, shown, seed: (*self._read(reader, positions), shown, seed),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
        batches = batches.map(
            lambda positions, images, shown, seed: self._served(
                positions, images, shown, seed, one_hot, augment
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return _finished(batches, len(self), batch_size)

    def restored(self, heatmaps: NDArray[np.uint8], batch: int) -> NDArray[np.uint8]:
        """Heatmaps of the images as they were served, in the geometry of the originals.

        Args:
            heatmaps: [B, h, w] uint8 of a batch of the current epoch.
            batch: Its number in the epoch, from 0.

        Returns:
            [B, h, w] uint8; the same where there is no augmentation that can be undone.
        """
        augment: object = None if self.served is None else self.served.augment
        if not isinstance(augment, Undoable):
            return heatmaps
        with tf.device("CPU:0"):
            seed = tf.random.fold_in(self._batch_seed(self.store.epoch, batch), 0)
            restored = augment.undo(tf.cast(heatmaps, tf.float32), seed)
        return np.rint(restored.numpy()).astype(np.uint8)

    def _batch_seed(self, epoch: int | tf.Tensor, batch: int | tf.Tensor) -> tf.Tensor:
        # An int32 would give another seed than the same number as int64.
        epoch, batch = tf.cast(epoch, tf.int64), tf.cast(batch, tf.int64)
        return tf.random.fold_in(tf.random.fold_in(self._seeds(), epoch), batch)

    def _opened(self, once: tf.Tensor) -> tf.data.Dataset:
        """Positions, or (position, image) of a stream, in the order of the current epoch."""
        store = self.store  # made while tracing, not in a thread of tf.data
        epoch = _in_python(lambda _: store.open_epoch(), [once], tf.int64)
        if isinstance(self._reader, RowStream):
            # Without this the order would depend on the global seed too. It is set for this
            # function's graph alone.
            tf.compat.v1.set_random_seed(1)
            seeds = tf.random.fold_in(self._seeds(), epoch)
            seed = tf.random.stateless_uniform([], seeds, None, None, tf.int64)
            return self._streamed(self._reader, np.arange(len(self))).shuffle(
                self.SHUFFLE_BUFFER, seed=seed, reshuffle_each_iteration=False
            )
        order = _in_python(
            lambda e: np.random.default_rng([self.seed, e]).permutation(len(self)),
            [epoch],
            tf.int64,
        )
        return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(order, [len(self)]))

    def _look_up(
        self, index: tf.Tensor, batch: tf.Tensor | tuple[tf.Tensor, tf.Tensor]
    ) -> tuple[tf.Tensor | tuple[tf.Tensor, ...], ...]:
        """The batch (positions, or positions and images), its proxies, and its seed."""

        def look_up(places: NDArray[np.int64], index: np.int64) -> tuple[object, ...]:
            how = self.attenuation
            code = REPLACEMENTS.index(how.replacement)
            return *self.store.look_up(places, int(index)), np.float32(how.weight), np.int32(code)

        batch = batch if isinstance(batch, tuple) else (batch,)
        is_proxy, heatmaps, thresholds, epoch, weight, code = _in_python(
            look_up,
            [batch[0], index],
            [tf.bool, tf.float32, tf.float32, tf.int64, tf.float32, tf.int32],
        )
        shown = (
            tf.ensure_shape(is_proxy, [None]),
            tf.ensure_shape(heatmaps, [None, None, None]),
            tf.ensure_shape(thresholds, [None]),
            tf.ensure_shape(weight, []),
            tf.ensure_shape(code, []),
        )
        return *batch, shown, self._batch_seed(epoch, index)

    def _served(
        self,
        positions: tf.Tensor,
        images: tf.Tensor,
        shown: tuple[tf.Tensor, ...],
        seed: tf.Tensor,
        one_hot: bool,
        augment: Augment | None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The finished batch: proxies made, then augmentation."""
        is_proxy, heatmaps, thresholds, weight, code = shown

        def with_proxies() -> tf.Tensor:
            enlarged = enlarge(heatmaps, (self.image_size, self.image_size))
            noise = tf.random.fold_in(seed, 1)
            make = partial(_attenuated, images, enlarged, thresholds, weight, noise)
            return tf.switch_case(code, [partial(make, name) for name in REPLACEMENTS])

        images = tf.cond(tf.reduce_any(is_proxy), with_proxies, lambda: tf.cast(images, tf.float32))
        labels = self._encode(tf.gather(tf.constant(self.labels), positions), one_hot)
        if augment is not None:
            images, labels = augment(images, labels, tf.random.fold_in(seed, 0))
        return images, labels

    def _seeds(self) -> tf.Tensor:
        return tf.constant([self.seed, 0], tf.int64)


# Compiled into one pass over the images, which costs a tenth of operation after operation. One
# shape is compiled per size of batch, so originals take part, with a threshold beyond reach.
@partial(tf.function, jit_compile=True, autograph=False)
def _attenuated(
    images: tf.Tensor,
    heatmaps: tf.Tensor,
    thresholds: tf.Tensor,
    weight: tf.Tensor,
    seed: tf.Tensor,
    replacement: str,
) -> tf.Tensor:
    """Images uint8 [B, P, P, 3] as float32 in [0, 255], each attenuated from its threshold on."""
    return attenuate(
        tf.cast(images, tf.float32),
        heatmaps,
        threshold=thresholds,
        weight=weight,
        replacement=replacement,
        seed=seed,
        peak=255.0,
    )


def _in_python(
    function: Callable[..., Any], inputs: list[tf.Tensor], dtypes: tf.DType | list[tf.DType]
) -> Any:
    """What a NumPy function returns, as tensors.

    Declared stateless: within an epoch, whose pipeline is opened once, all that is called here
    depends on its inputs alone. Were it declared stateful, deterministic operations would turn
    the whole pipeline sequential, without reading ahead.
    """
    return tf.numpy_function(function, inputs, dtypes, stateful=False)


def _finished(batches: tf.data.Dataset, examples: int, batch_size: int) -> tf.data.Dataset:
    """The dataset with its length known and its order fixed."""
    options = tf.data.Options()
    options.deterministic = True
    count = -(-examples // batch_size)
    batches = batches.apply(tf.data.experimental.assert_cardinality(count))
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be >= 1. Received: {batch_size}")
