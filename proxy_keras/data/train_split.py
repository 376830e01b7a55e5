"""TrainSplit: the training split as tf.data batches that serve proxies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.augment.attenuation import attenuate
from proxy_keras.augment.catalogue import REPLACEMENTS
from proxy_keras.augment.compose import needs_epoch, needs_maps
from proxy_keras.data.batch_feed import Augment, BatchFeed, augmentation_seed, split_seed
from proxy_keras.data.data_split import DataSplit, RowStream, check_batch_size, finished, in_python
from proxy_keras.data.epoch_clock import EpochClock
from proxy_keras.data.heatmap_store import MapStore
from proxy_keras.data.proxy_store import ProxyStore
from proxy_keras.distribution.parts import Parts
from proxy_keras.heatmaps.scaling import enlarge


@dataclass(frozen=True)
class Attenuation:
    """How a proxy is made from its original; see `augment.attenuate`."""

    weight: float = 0.1
    replacement: str = "blended"


class TrainSplit(DataSplit):
    """The training split: shuffled anew each epoch, with proxies in place of their originals.

    `store` holds the examples that have a proxy, and `attenuation` how a proxy is made.
    `ProxyAttention` sets both; datasets read them batch by batch, even if built earlier.
    """

    SHUFFLE_BUFFER = 4096
    """Examples in the shuffle buffer of a stream. Arrays and files are shuffled completely."""

    attenuation = Attenuation()
    largest_batch = 0
    """Largest batch size of all calls of `batches`."""

    @cached_property
    def clock(self) -> EpochClock:
        """The current epoch, and the data sets opened in it."""
        return EpochClock()

    @cached_property
    def store(self) -> ProxyStore:
        """The examples that have a proxy, with their heatmaps."""
        return ProxyStore(len(self), seed=self.seed)

    @cached_property
    def maps(self) -> MapStore:
        """A heatmap of every example, for augmentations that need them; see `RefreshMaps`."""
        return MapStore(len(self))

    def reseed(self, seed: int) -> None:
        """Use another seed than the split's for order, augmentation and draws of proxies.

        Removes all proxies. Datasets built earlier must not be used afterwards.
        """
        self.seed = seed
        self.store = ProxyStore(len(self), seed=seed)
        self.clock = EpochClock()

    def batches(
        self,
        batch_size: int,
        *,
        one_hot: bool = False,
        augment: Augment | None = None,
        parts: Parts | None = None,
    ) -> tf.data.Dataset:
        """Return the examples of an epoch in random order, with proxies for those that have one.

        Pass the result to `fit` as it is: without `repeat`, `cache` or `steps_per_epoch`, each
        epoch opens it anew and sees the proxies of that epoch. `ProxyAttention` raises an error
        if stale proxies would be shown.

        Args:
            batch_size: Examples per batch, >= 1; the last batch may be smaller.
            one_hot: Labels as [B, K] float32 instead of [B] int32 class ids.
            augment: Random augmentation after the proxies, such as `augment.FlipAndRotate()`.
            parts: Return these parts of each batch instead of batches.

        Returns:
            Batches of (images float32 [B, P, P, 3] in [0, 255], labels). Order and augmentation
            depend on (seed, epoch, batch) alone; for a part, on its number among all parts.
        """
        check_batch_size(batch_size)
        self.largest_batch = max(self.largest_batch, batch_size)
        feed = BatchFeed(self.seed, batch_size, augment, parts)
        opened = tf.data.Dataset.range(1).flat_map(partial(self._opened, feed))
        batches = opened.batch(batch_size)
        numbered = batches.enumerate() if parts is None else parts.of(batches)
        batches = numbered.map(partial(self._look_up, feed))
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
        return finished(batches, len(self), batch_size, parts)

    def _opened(self, feed: BatchFeed, once: tf.Tensor) -> tf.data.Dataset:
        """Return positions, or (position, image) of a stream, in the order of the epoch."""
        clock = self.clock  # Made while tracing, not in a thread of tf.data.
        epoch = in_python(lambda _: clock.open(feed), [once], tf.int64)
        if isinstance(self._reader, RowStream):
            # Otherwise the order would depend on the global seed too. This sets it for this
            # function's graph only.
            tf.compat.v1.set_random_seed(1)
            seeds = tf.random.fold_in(split_seed(self.seed), epoch)
            seed = tf.random.stateless_uniform([], seeds, None, None, tf.int64)
            return self._streamed(self._reader, np.arange(len(self))).shuffle(
                self.SHUFFLE_BUFFER, seed=seed, reshuffle_each_iteration=False
            )
        order = in_python(
            lambda e: np.random.default_rng([self.seed, e]).permutation(len(self)),
            [epoch],
            tf.int64,
        )
        return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(order, [len(self)]))

    def _look_up(
        self, feed: BatchFeed, index: tf.Tensor, batch: tf.Tensor | tuple[tf.Tensor, tf.Tensor]
    ) -> tuple[tf.Tensor | tuple[tf.Tensor, ...], ...]:
        """Return the batch (positions, or positions and images), its proxies, and its seed."""
        store, heatmaps = self.store, self.maps

        def look_up(places: NDArray[np.int64], index: np.int64) -> tuple[object, ...]:
            how = self.attenuation
            code = REPLACEMENTS.index(how.replacement)
            feed.positions[int(index)] = places.copy()
            shown = store.look_up(places)
            weight, epoch = np.float32(how.weight), np.int64(feed.epoch)
            return *shown, weight, np.int32(code), epoch, heatmaps.look_up(places)

        batch = batch if isinstance(batch, tuple) else (batch,)
        kinds = {
            "is_proxy": (tf.bool, [None]),
            "heatmaps": (tf.float32, [None, None, None]),
            "thresholds": (tf.float32, [None]),
            "weight": (tf.float32, []),
            "code": (tf.int32, []),
            "epoch": (tf.int64, []),
            "maps": (tf.float32, [None, None, None]),
        }
        found = in_python(look_up, [batch[0], index], [dtype for dtype, _ in kinds.values()])
        shapes = [shape for _, shape in kinds.values()]
        shown = tuple(tf.ensure_shape(x, shape) for x, shape in zip(found, shapes, strict=True))
        epoch = shown[list(kinds).index("epoch")]
        return *batch, shown, feed.batch_seed(epoch, index)

    def _served(
        self,
        positions: tf.Tensor,
        images: tf.Tensor,
        shown: tuple[tf.Tensor, ...],
        seed: tf.Tensor,
        one_hot: bool,
        augment: Augment | None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the finished batch: proxies made, then augmented."""
        is_proxy, heatmaps, thresholds, weight, code, epoch, maps = shown

        def with_proxies() -> tf.Tensor:
            enlarged = enlarge(heatmaps, (self.image_size, self.image_size))
            noise = tf.random.fold_in(seed, 1)
            make = partial(_attenuated, images, enlarged, thresholds, weight, noise)
            return tf.switch_case(code, [partial(make, name) for name in REPLACEMENTS])

        images = tf.cond(tf.reduce_any(is_proxy), with_proxies, lambda: tf.cast(images, tf.float32))
        labels = self._encode(tf.gather(tf.constant(self.labels), positions), one_hot)
        if augment is not None:
            given = {"epoch": epoch} if needs_epoch(augment) else {}
            given |= {"heatmaps": maps} if needs_maps(augment) else {}
            images, labels = augment(images, labels, augmentation_seed(seed), **given)
        return images, labels


# Compiled into one pass over the images, at a tenth of the cost of separate operations. One
# program is compiled per batch size, so originals are included, with an infinite threshold.
@partial(tf.function, jit_compile=True, autograph=False)
def _attenuated(
    images: tf.Tensor,
    heatmaps: tf.Tensor,
    thresholds: tf.Tensor,
    weight: tf.Tensor,
    seed: tf.Tensor,
    replacement: str,
) -> tf.Tensor:
    """Attenuate images uint8 [B, P, P, 3] above their thresholds: float32 in [0, 255]."""
    return attenuate(
        tf.cast(images, tf.float32),
        heatmaps,
        threshold=thresholds,
        weight=weight,
        replacement=replacement,
        seed=seed,
        peak=255.0,
    )
