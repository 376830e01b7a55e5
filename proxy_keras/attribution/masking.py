"""Measures how the score changes when parts of an image are hidden."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from proxy_keras.attribution.baselines import BaselineMethod
from proxy_keras.attribution.method import ChunkedMethod
from proxy_keras.attribution.method_options import MaskingOptions
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.tape_vjp import vjp
from proxy_keras.attribution.target import Score, Target

# A few units in the last place of float32: so far apart are equal logits of different batches.
_ROUNDING = 5e-7


@dataclass(frozen=True)
class ScoredImages:
    """Images, and what is explained in them.

    Attributes:
        network: The classifier, compiled.
        images: [B, H, W, C] float32.
        logits: [B, K] float32, of the images.
        score: What is explained.
    """

    network: Network
    images: tf.Tensor
    logits: tf.Tensor
    score: Score

    @classmethod
    def of(cls, network: Network, images: tf.Tensor, target: Target) -> ScoredImages:
        """The scored of a method's call; one forward pass."""
        logits = network.logits(images)
        return cls(network, images, logits, target(logits))


class MaskingMethod(MaskingOptions, ChunkedMethod, BaselineMethod):
    """A method that hides parts of an image behind a baseline, and looks at the logits only.

    Options: see `MaskingOptions`.
    """

    has_image_size = True
    needs_layer = False

    def score_changes(
        self,
        scored: ScoredImages,
        owners: tf.Tensor,
        masks_of: Callable[[tf.Tensor], tf.Tensor],
    ) -> tf.Tensor:
        """What masking adds to the score's probability, below 0 where it takes from it.

        Args:
            scored: What is explained.
            owners: [N] int32, the image that each masked copy is made of.
            masks_of: From indices of copies [n] to their masks [n, H, W] in [0, 1]; 1 keeps the
                image's pixel.

        Returns:
            [N] float32; exactly 0 where float32 cannot tell the difference from rounding, which
            scaling the map would blow up.
        """
        before, noise = _scored(scored.score, scored.logits, None)
        parts = []
        for rows in self.chunks(owners.shape[0], "masked images"):
            mine = tf.gather(owners, rows)
            whole = tf.gather(scored.images, mine)
            masks = masks_of(rows)[..., tf.newaxis]
            masked = masks * whole + (1.0 - masks) * self.baselines(whole)
            after, rounding = _scored(scored.score, scored.network.logits(masked), mine)
            change = after - tf.gather(before, mine)
            is_noise = tf.abs(change) <= tf.maximum(rounding, tf.gather(noise, mine))
            parts.append(tf.where(is_noise, 0.0, change))
        return tf.concat(parts, axis=0)

    def score_changes_per_mask(
        self,
        scored: ScoredImages,
        count: int,
        masks_of: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    ) -> tf.Tensor:
        """The changes [B, count] where each image is masked `count` times.

        Args:
            scored: What is explained.
            count: Masks per image.
            masks_of: From images [n] and numbers of masks [n] to masks [n, H, W].
        """
        batch = scored.images.shape[0]
        changes = self.score_changes(
            scored,
            tf.repeat(tf.range(batch), count),
            lambda rows: masks_of(rows // count, rows % count),
        )
        return tf.reshape(changes, [batch, count])


def _scored(
    score: Score, logits: tf.Tensor, owners: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """The scores [n] of logits [n, K], and how much of them may be rounding [n]."""
    scores, pull_back = vjp(lambda x: score.probability(x, owners), logits)
    slopes = pull_back()
    error = tf.reduce_sum(tf.abs(slopes), axis=1) * tf.reduce_max(tf.abs(logits), axis=1)
    return scores, _ROUNDING * (error + tf.abs(scores))
