"""Changes of the score when parts of an image are masked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from proxy_keras.attribution.baselines import BaselineMethod
from proxy_keras.attribution.masking_options import MaskingOptions
from proxy_keras.attribution.method import ChunkedMethod
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.tape_vjp import vjp
from proxy_keras.attribution.target import Score, Target

# Equal logits of different batches can differ by a few units in the last place of float32.
_ROUNDING = 5e-7


@dataclass(frozen=True)
class ScoredImages:
    """Images with their logits and the score to explain.

    Attributes:
        network: The compiled classifier.
        images: [B, H, W, C] float32.
        logits: [B, K] float32, of the images.
        score: The score to explain.
    """

    network: Network
    images: tf.Tensor
    logits: tf.Tensor
    score: Score

    @classmethod
    def of(cls, network: Network, images: tf.Tensor, target: Target) -> ScoredImages:
        """Return the images of a method's call, scored by one forward pass."""
        logits = network.logits(images)
        return cls(network, images, logits, target(logits))


class MaskingMethod(MaskingOptions, ChunkedMethod, BaselineMethod):
    """A method that replaces parts of an image by a baseline and uses the logits only."""

    has_image_size = True
    needs_layer = False

    def score_changes(
        self,
        scored: ScoredImages,
        owners: tf.Tensor,
        masks_of: Callable[[tf.Tensor], tf.Tensor],
    ) -> tf.Tensor:
        """Return the changes of the score's probability caused by masking.

        Args:
            scored: Images and score.
            owners: [N] int32, the image of each masked copy.
            masks_of: From indices of copies [n] to their masks [n, H, W] in [0, 1]; 1 keeps the
                image's pixel.

        Returns:
            [N] float32; exactly 0 where the change may be a rounding error, which scaling the map
            would amplify.
        """
        before, noise = _scores_and_rounding(scored.score, scored.logits, None)
        parts = []
        for rows in self.chunks(owners.shape[0], "masked images"):
            mine = tf.gather(owners, rows)
            whole = tf.gather(scored.images, mine)
            masks = masks_of(rows)[..., tf.newaxis]
            masked = masks * whole + (1.0 - masks) * self.baselines(whole)
            after, rounding = _scores_and_rounding(
                scored.score, scored.network.logits(masked), mine
            )
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
        """Return the changes [B, count] when each image is masked `count` times.

        Args:
            scored: Images and score.
            count: Masks per image.
            masks_of: From indices of images [n] and of masks [n] to masks [n, H, W].
        """
        batch = scored.images.shape[0]
        changes = self.score_changes(
            scored,
            tf.repeat(tf.range(batch), count),
            lambda rows: masks_of(rows // count, rows % count),
        )
        return tf.reshape(changes, [batch, count])


def _scores_and_rounding(
    score: Score, logits: tf.Tensor, owners: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return scores [n] of logits [n, K], and bounds [n] of their rounding errors."""
    scores, pull_back = vjp(lambda x: score.probability(x, owners), logits)
    slopes = pull_back()
    error = tf.reduce_sum(tf.abs(slopes), axis=1) * tf.reduce_max(tf.abs(logits), axis=1)
    return scores, _ROUNDING * (error + tf.abs(scores))
