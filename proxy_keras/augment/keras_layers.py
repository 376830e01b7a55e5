"""The augmentations that Keras has: each batch determined by its seed."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers

from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.keyed_seeds import StatelessSeeds
from proxy_keras.augment.option_rules import check_positive


class WrappedKerasLayer(BatchLayer):
    """One of Keras' preprocessing layers. A subclass makes it in `make`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._layer = self.make()

    def make(self) -> keras.Layer:
        """The layer. It needs a seed of its own, which is not used.

        Without one it would draw it from what the weights of a model are drawn from.
        """
        raise NotImplementedError(f"{type(self).__name__} must make its layer.")

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See `BatchLayer`."""
        images, labels, _ = batch
        layer = self._layer
        how = self.corrected(
            layer.get_random_transformation(
                {"images": images, "labels": labels}, training=True, seed=StatelessSeeds(seed)
            )
        )
        made = layer.transform_images(images, how, training=True)
        return tf.clip_by_value(made, 0.0, 255.0), layer.transform_labels(
            labels, how, training=True
        )

    def corrected(self, how: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What Keras' layer has drawn, set right where it must be."""
        return how


@keras.saving.register_keras_serializable("proxy_keras")
class CutMix(WrappedKerasLayer):
    """A box of another image of the batch pasted in; labels by area.

    Keras draws where the box lies so that all of it is inside the image; in the paper its centre is
    anywhere, and what is outside is cut off.

    Args:
        alpha: Of the Beta(alpha, alpha) distribution of the share that stays, in (0, 1].

    Source: Yun et al., CutMix (2019).
    """

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        check_positive("alpha", alpha)
        self.alpha = alpha
        super().__init__(**options)

    def make(self) -> keras.Layer:
        """See `WrappedKerasLayer`."""
        return layers.CutMix(factor=(self.alpha, self.alpha), seed=0, dtype="float32")

    def corrected(self, how: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """See `WrappedKerasLayer`: labels by the pixels that are pasted.

        Keras goes by the box before its edges are rounded to pixels, which differs by up to seven
        points at 28 px.
        """
        pasted = tf.reduce_mean(tf.cast(how["batch_masks"], tf.float32), axis=[1, 2, 3])
        return {**how, "mix_weight": 1.0 - pasted}


@keras.saving.register_keras_serializable("proxy_keras")
class MixUp(WrappedKerasLayer):
    """A weighted sum with another image of the batch; labels by weight.

    Args:
        alpha: Of the Beta(alpha, alpha) distribution of the weight, in (0, 1].

    Source: Zhang et al., mixup (2018).
    """

    def __init__(self, alpha: float = 0.2, **options: Any) -> None:
        check_positive("alpha", alpha)
        self.alpha = alpha
        super().__init__(**options)

    def make(self) -> keras.Layer:
        """See `WrappedKerasLayer`."""
        return layers.MixUp(alpha=self.alpha, seed=0, dtype="float32")
