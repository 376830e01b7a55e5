"""TrainSplit: the training split as tf.data batches that serve proxies."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property, partial

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.augment.compose import needs_epoch, needs_maps
from proxy_keras.data.batch_feed import Augment, BatchFeed, augmentation_seed, split_seed
from proxy_keras.data.data_split import DataSplit, RowStream, check_batch_size, finished
from proxy_keras.data.donor_bank import NO_DONORS, Donated, DonorBank, blank_donors, draw_bank
from proxy_keras.data.epoch_clock import EpochClock
from proxy_keras.data.feature_store import FeatureStore
from proxy_keras.data.heatmap_store import MapStore
from proxy_keras.data.in_python import as_written, in_python
from proxy_keras.data.proxy_maker import Attenuation, DonorCells, Recipe, make_proxies
from proxy_keras.data.proxy_store import ProxyStore
from proxy_keras.distribution.parts import Parts


class TrainSplit(DataSplit):
    """The training split: shuffled anew each epoch, with proxies in place of their originals.

    `store` holds the examples that have a proxy, `attenuation` how a proxy is made, and `donors`
    the images that take part in it. `ProxyAttention` sets them; datasets read them batch by batch,
    even if built earlier.
    """

    SHUFFLE_BUFFER = 4096
    """Examples in the shuffle buffer of a stream. Arrays and files are shuffled completely."""

    attenuation = Attenuation()
    donors: DonorBank | None = None
    _donors_of: NDArray[np.int32] | None = None
    original_weight = 1.0
    """Share of the loss of an original that is shown although it has a proxy. If it is not 1,
    `batches` gives weights too, so it must be set before `batches` is called."""

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
        self.donors, self._donors_of = None, None
        self.clock = EpochClock()

    def update_donors(self) -> None:
        """Read the images whose masked regions go into others, if they have changed."""
        store = self.store
        if not self.attenuation.needs_donors:
            self.donors, self._donors_of = None, None
        elif self._donors_of is not store.positions:
            # The store replaces the array at every change.
            self._donors_of = store.positions
            self.donors = self._read_donors()

    def _read_donors(self) -> DonorBank | None:
        positions, heatmaps, thresholds, newest = self.store.masked()
        if len(positions) == 0:
            return None
        kept = draw_bank(positions, self.image_size, seed=self.seed, epoch=max(newest, 0))
        read = list(self.originals(64, kept).as_numpy_iterator())
        # A stream yields the images in its own order.
        order = np.argsort(np.concatenate([places for places, _, _ in read]))
        images = np.concatenate([images.astype(np.uint8) for _, images, _ in read])[order]
        rows = np.searchsorted(positions, kept)
        how = self.attenuation
        return DonorBank(
            kept,
            self.labels[kept],
            images,
            heatmaps[rows],
            thresholds[rows],
            seed=self.seed,
            other_class=how.replacement == "exchange" and not how.any_donor,
            keeps=how.keeps_donors,
        )

    def draw_donors(
        self,
        positions: NDArray[np.int64],
        is_proxy: NDArray[np.bool_],
        *,
        epoch: int = 0,
        batch: int = 0,
    ) -> Donated:
        """Return a donor for each image at positions [B]; see `DonorBank.draw`.

        They are blank while proxies need none.
        """
        bank = self.donors
        if bank is None:
            return blank_donors(len(positions), self.image_size)
        return bank.draw(positions, self.labels[positions], is_proxy, epoch=epoch, batch=batch)

    def batches(
        self,
        batch_size: int,
        *,
        one_hot: bool = False,
        augment: Augment | None = None,
        parts: Parts | None = None,
        features: FeatureStore | None = None,
        weights: NDArray[np.float32] | None = None,
        also: Collection[str] = (),
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
            features: Return features in place of images where this store knows them.
            weights: [N], of the examples in the loss; None: all count the same.
            also: What else the inputs have, which are then a dictionary: `groups` or `maps`.

        Returns:
            Batches of (images float32 [B, P, P, 3] in [0, 255], labels), and, with `weights` or
            unless `original_weight` is 1, the weights [B] float32 in the loss. Order and
            augmentation depend on (seed, epoch, batch) alone; for a part, on its number among all.
            With `features`, instead of images a dictionary: `features` [B, ...] float32, `is_image`
            [B] bool, and the `images` [n, P, P, 3] of those examples, whose features are unknown.
            With `also`, `groups` [B] int32, -1 where they are unknown, or `maps` [B, h, w] float32
            in [0, 1], and without `features`, `images` [B, P, P, 3].
        """
        check_batch_size(batch_size)
        self.largest_batch = max(self.largest_batch, batch_size)
        original_weight = self.original_weight
        feed = BatchFeed(self.seed, batch_size, augment, parts, is_weighted=original_weight != 1.0)
        opened = tf.data.Dataset.range(1).flat_map(as_written(partial(self._opened, feed)))
        batches = opened.batch(batch_size)
        numbered = batches.enumerate() if parts is None else parts.of(batches)
        batches = numbered.map(as_written(partial(self._look_up, feed, features)))
        reader = self._reader
        if not isinstance(reader, RowStream):

            @as_written
            def read(
                positions: tf.Tensor, shown: dict[str, tf.Tensor], seed: tf.Tensor
            ) -> tuple[object, ...]:
                is_wanted = None if features is None else shown["is_image"]
                return *self._read(reader, positions, is_wanted), shown, seed

            batches = batches.map(read, num_parallel_calls=tf.data.AUTOTUNE)
        served = partial(
            self._served,
            one_hot=one_hot,
            augment=augment,
            original_weight=original_weight,
            features=features,
            weights=weights,
            also=also,
        )
        batches = batches.map(
            # Augmentations of others may be written for AutoGraph.
            as_written(served) if augment is None else served,
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
        self,
        feed: BatchFeed,
        features: FeatureStore | None,
        index: tf.Tensor,
        batch: tf.Tensor | tuple[tf.Tensor, tf.Tensor],
    ) -> tuple[tf.Tensor | dict[str, tf.Tensor], ...]:
        """Return the batch (positions, or positions and images), its proxies, and its seed."""
        store, heatmaps = self.store, self.maps

        def look_up(places: NDArray[np.int64], index: np.int64) -> tuple[object, ...]:
            how, number = self.attenuation, int(index)
            feed.positions[number] = places.copy()
            shown = store.look_up(places)
            donors = NO_DONORS
            if how.needs_donors:
                donors = self.draw_donors(places, shown.is_proxy, epoch=feed.epoch, batch=number)
            known = (
                (np.zeros([0], np.float32), np.ones([len(places)], bool))
                if features is None
                else features.look_up(places, shown.is_proxy)
            )
            recipe, epoch = how.recipe, np.int64(feed.epoch)
            return *shown, *donors, *recipe, epoch, heatmaps.look_up(places), *known

        batch = batch if isinstance(batch, tuple) else (batch,)
        kinds = {
            "is_proxy": (tf.bool, [None]),
            "heatmaps": (tf.float32, [None, None, None]),
            "thresholds": (tf.float32, [None]),
            "stays_original": (tf.bool, [None]),
            "donor_images": (tf.uint8, [None, None, None, 3]),
            "donor_heatmaps": (tf.float32, [None, None, None]),
            "donor_thresholds": (tf.float32, [None]),
            "replacement": (tf.int32, []),
            "weight": (tf.float32, []),
            "colour": (tf.float32, [3]),
            "is_spread": (tf.bool, []),
            "epoch": (tf.int64, []),
            "maps": (tf.float32, [None, None, None]),
            "features": (tf.float32, [None, *(() if features is None else features.shape)]),
            "is_image": (tf.bool, [None]),
        }
        found = in_python(look_up, [batch[0], index], [dtype for dtype, _ in kinds.values()])
        shapes = [shape for _, shape in kinds.values()]
        tensors = [tf.ensure_shape(x, shape) for x, shape in zip(found, shapes, strict=True)]
        shown = dict(zip(kinds, tensors, strict=True))
        return *batch, shown, feed.batch_seed(shown["epoch"], index)

    def _served(
        self,
        positions: tf.Tensor,
        images: tf.Tensor,
        shown: dict[str, tf.Tensor],
        seed: tf.Tensor,
        *,
        one_hot: bool,
        augment: Augment | None,
        original_weight: float,
        features: FeatureStore | None,
        weights: NDArray[np.float32] | None,
        also: Collection[str],
    ) -> tuple[tf.Tensor, ...]:
        """Return the finished batch: proxies made, then augmented."""

        @as_written
        def with_proxies() -> tf.Tensor:
            return make_proxies(
                images,
                shown["heatmaps"],
                shown["thresholds"],
                recipe=Recipe(*(shown[name] for name in Recipe._fields)),
                donors=DonorCells(
                    shown["donor_images"], shown["donor_heatmaps"], shown["donor_thresholds"]
                ),
                seed=tf.random.fold_in(seed, 1),
            )

        originals = images
        images = tf.cond(
            tf.reduce_any(shown["is_proxy"]),
            with_proxies,
            lambda: tf.cast(originals, tf.float32),
        )
        labels = self._encode(tf.gather(tf.constant(self.labels), positions), one_hot)
        if augment is not None:
            given = {"epoch": shown["epoch"]} if needs_epoch(augment) else {}
            given |= {"heatmaps": shown["maps"]} if needs_maps(augment) else {}
            images, labels = augment(images, labels, augmentation_seed(seed), **given)
        inputs = images
        if features is not None:
            inputs = {name: shown[name] for name in ("features", "is_image")}
            inputs["images"] = tf.boolean_mask(images, shown["is_image"])
        if also:
            known = {"maps": shown["maps"]}
            known["groups"] = tf.gather(tf.constant(self.groups.ids), positions)
            inputs = inputs if isinstance(inputs, dict) else {"images": inputs}
            inputs |= {name: known[name] for name in also}
        if original_weight == 1.0 and weights is None:
            return inputs, labels
        in_loss = tf.where(shown["stays_original"], original_weight, 1.0)
        if weights is not None:
            in_loss *= tf.gather(tf.constant(weights, tf.float32), positions)
        return inputs, labels, in_loss
