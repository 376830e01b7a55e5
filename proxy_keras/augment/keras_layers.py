"""Keras' own augmentations, with each batch determined by its seed."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers

from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.option_rules import check_positive


class StatelessSeeds(keras.random.SeedGenerator):
    """Seeds derived from one seed, without state that outlives the call.

    Keras' own generator counts in a variable, so that an image's augmentation would depend on all
    batches before it, and on chance where batches are prepared in parallel.

    Args:
        seed: [2] int64.
    """

    # The parent's constructor creates the variable that must be avoided.
    def __init__(self, seed: tf.Tensor) -> None:
        self.name = "stateless_seeds"
        self._seed = seed
        self._drawn = 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        """Return the next seed, [2] int64."""
        drawn = tf.random.fold_in(self._seed, self._drawn)
        self._drawn += 1
        return drawn


class WrappedKerasLayer(BatchLayer):
    """One of Keras' preprocessing layers; a subclass creates it in `make_layer`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._layer = self.make_layer()

    def make_layer(self) -> keras.Layer:
        """Create the layer with an arbitrary seed, which is never used.

        Without a seed it would draw one from the generator that initialises a model's weights.
        """
        raise NotImplementedError(f"{type(self).__name__} must create its layer.")

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        layer = self._layer
        drawn = layer.get_random_transformation(
            {"images": images, "labels": labels}, training=True, seed=StatelessSeeds(seed)
        )
        drawn = self.correct_transformation(drawn)
        made = layer.transform_images(images, drawn, training=True)
        mixed = layer.transform_labels(labels, drawn, training=True)
        return tf.clip_by_value(made, 0.0, 255.0), mixed

    def correct_transformation(self, drawn: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Correct the transformation drawn by Keras' layer, if necessary."""
        return drawn


@keras.saving.register_keras_serializable("proxy_keras")
class CutMix(WrappedKerasLayer):
    """A box of another image of the batch, pasted at the same place; labels by area.

    Keras always places the whole box inside the image; in the paper its centre is any pixel, and
    the box is clipped.

    Args:
        alpha: Parameter of the Beta(alpha, alpha) distribution of the share that is kept, > 0.

    Source: Yun et al., CutMix (2019).
    """

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        check_positive("alpha", alpha)
        self.alpha = alpha
        super().__init__(**options)

    def make_layer(self) -> keras.Layer:
        return layers.CutMix(
            factor=(self.alpha, self.alpha), seed=0, data_format="channels_last", dtype="float32"
        )

    def correct_transformation(self, drawn: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Compute labels from the pasted pixels.

        Keras uses the box before its edges are rounded to pixels, which differs by up to seven
        percentage points at 28 px.
        """
        pasted = tf.reduce_mean(tf.cast(drawn["batch_masks"], tf.float32), axis=[1, 2, 3])
        return {**drawn, "mix_weight": 1.0 - pasted}


@keras.saving.register_keras_serializable("proxy_keras")
class MixUp(WrappedKerasLayer):
    """A weighted sum with another image of the batch; labels by weight.

    Args:
        alpha: Parameter of the Beta(alpha, alpha) distribution of the weight, > 0.

    Source: Zhang et al., mixup (2018).
    """

    def __init__(self, alpha: float = 0.2, **options: Any) -> None:
        check_positive("alpha", alpha)
        self.alpha = alpha
        super().__init__(**options)

    def make_layer(self) -> keras.Layer:
        return layers.MixUp(alpha=self.alpha, seed=0, data_format="channels_last", dtype="float32")
