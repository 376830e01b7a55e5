"""Chains of random operations: RandAugment and AugMix."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment.batch_layer import Batch, BatchLayer
from proxy_keras.augment.operations import OPERATIONS, apply_chain
from proxy_keras.augment.option_rules import check_count, check_positive, check_share
from proxy_keras.augment.stateless_random import (
    Shape,
    beta,
    dirichlet,
    integers,
    split_seed,
    uniform,
)

ALL = tuple(OPERATIONS)
CORRUPTIONS = ("colour", "contrast", "brightness", "sharpness")
"""Operations that AugMix excludes, because robustness benchmarks use them."""


@keras.saving.register_keras_serializable("proxy_keras")
class RandAugment(BatchLayer):
    """A sequence of operations, drawn per image, all of the same magnitude.

    Args:
        operations: Number of operations, N in the paper.
        magnitude: In [0, 1], a tenth of the paper's M, which is 9 for ResNet-50; see `operations`.
            At 0 nothing changes.

    Raises:
        ValueError: An option has an invalid value.

    Source: Cubuk et al., RandAugment (2020), with its 14 operations.
    """

    keeps_labels = True

    def __init__(self, operations: int = 2, magnitude: float = 0.5, **options: Any) -> None:
        check_count("operations", operations)
        check_share("magnitude", magnitude)
        self.operations, self.magnitude = operations, magnitude
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        if self.magnitude == 0.0:
            return images, labels
        of_choice, of_sign = split_seed(seed, 2)
        shape = [tf.shape(images)[0], self.operations]
        choice = integers(shape, of_choice, len(ALL))
        levels = self.magnitude * _signs(shape, of_sign)
        made = tf.map_fn(
            lambda drawn: apply_chain(ALL, *drawn),
            (images, choice, levels, tf.fill(shape[:1], self.operations)),
            fn_output_signature=tf.TensorSpec(images.shape[1:], images.dtype),
        )
        return made, labels


def _signs(shape: Shape, seed: tf.Tensor) -> tf.Tensor:
    return tf.where(uniform(shape, seed) < 0.5, -1.0, 1.0)


@keras.saving.register_keras_serializable("proxy_keras")
class AugMix(BatchLayer):
    """The image mixed with a mixture of chains of operations.

    For the Jensen-Shannon consistency loss, see `augment.consistency`.

    Args:
        magnitude: Largest level of an operation, in [0, 1]: a tenth of the paper's severity. At 0
            nothing changes.
        width: Number of chains, >= 1.
        depth: Largest length of a chain, >= 1; each chain draws its own length.
        alpha: Parameter of the Dirichlet distribution of the chains' weights, and of the Beta
            distribution of the image's own weight, > 0.
        all_operations: Whether to also draw colour, contrast, brightness and sharpness.

    Raises:
        ValueError: An option has an invalid value.

    Source: Hendrycks et al., AugMix (2020), algorithm 1.
    """

    keeps_labels = True

    def __init__(
        self,
        magnitude: float = 0.3,
        width: int = 3,
        depth: int = 3,
        alpha: float = 1.0,
        all_operations: bool = False,
        **options: Any,
    ) -> None:
        check_share("magnitude", magnitude)
        check_positive("alpha", alpha)
        for name, value in (("width", width), ("depth", depth)):
            check_count(name, value, 1)
        self.magnitude, self.width, self.depth, self.alpha = magnitude, width, depth, alpha
        self.all_operations = all_operations
        super().__init__(**options)

    def augment(self, batch: Batch, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        if self.magnitude == 0.0:
            return images, labels
        count = tf.shape(images)[0]
        of_chains, of_weights, of_own = split_seed(seed, 3)
        names = [name for name in ALL if self.all_operations or name not in CORRUPTIONS]
        weights = dirichlet([count, self.width], of_weights, self.alpha)
        own_weight = beta([count], of_own, self.alpha)

        def mixed(drawn: tuple[tf.Tensor, ...]) -> tf.Tensor:
            image, choice, levels, lengths, weights, own_weight = drawn
            chains = tf.map_fn(
                lambda chain: apply_chain(names, image, *chain),
                (choice, levels, lengths),
                fn_output_signature=tf.TensorSpec(image.shape, image.dtype),
            )
            return mixture(image, chains, weights, own_weight)

        made = tf.map_fn(
            mixed,
            (images, *self._chains(count, len(names), of_chains), weights, own_weight),
            fn_output_signature=tf.TensorSpec(images.shape[1:], images.dtype),
        )
        return made, labels

    def _chains(self, count: tf.Tensor, names: int, seed: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Draw operations and levels [B, width, depth], and lengths [B, width], of the chains."""
        of_length, of_choice, of_level, of_sign = split_seed(seed, 4)
        shape = [count, self.width, self.depth]
        # Excludes identity, the first of the names.
        choice = 1 + integers(shape, of_choice, names - 1)
        levels = uniform(shape, of_level, 0.01, max(self.magnitude, 0.01))
        lengths = 1 + integers(shape[:2], of_length, self.depth)
        return choice, levels * _signs(shape, of_sign), lengths


def mixture(
    image: tf.Tensor, chains: tf.Tensor, weights: tf.Tensor, own_weight: tf.Tensor
) -> tf.Tensor:
    """Return `m * image + (1 - m) * sum(w_i * chain_i)`.

    Args:
        image: [H, W, C] float32.
        chains: [width, H, W, C] float32.
        weights: [width] float32, w, summing to 1.
        own_weight: [] float32 in [0, 1], m.
    """
    of_chains = tf.tensordot((1.0 - own_weight) * weights, chains, 1)
    return tf.clip_by_value(own_weight * image + of_chains, 0.0, 255.0)
