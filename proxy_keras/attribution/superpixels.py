"""Segmentation into superpixels, and methods that explain images by superpixel."""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.attribution.masking import MaskingMethod, ScoredImages
from proxy_keras.attribution.masking_options import SuperpixelOptions
from proxy_keras.attribution.method import MethodOutput, SignedMethod
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target
from proxy_keras.io.extras import extra


def superpixels(images: NDArray[np.float32], count: int, segmentation: str) -> NDArray[np.int32]:
    """Return the superpixel of each pixel, [B, H, W] int32, numbered from 0 in each image.

    Args:
        images: [B, H, W, C] float32, any range. Not modified.
        count: Approximate number of superpixels, >= 1.
        segmentation: "slic", which follows colours (scikit-image), or "grid", equal cells, the
            same for each image.

    Source: Achanta et al., SLIC Superpixels Compared to State-of-the-Art Superpixel Methods (IEEE
    Transactions on Pattern Analysis and Machine Intelligence, 2012).
    """
    if segmentation == "grid":
        grid = _grid(images.shape[1], images.shape[2], count)
        return np.broadcast_to(grid, images.shape[:3])
    # Imported here, because scikit-image is slow to import.
    with extra("explain"):
        from skimage.segmentation import slic

    labels = np.empty(images.shape[:3], np.int32)
    for place, image in enumerate(images):
        found = slic(
            image,
            n_segments=count,
            sigma=1,
            # Adapts the weight of colours to their local variation. With a constant weight,
            # textured images split into fragments, which merge into far too few superpixels.
            slic_zero=True,
            start_label=0,
            channel_axis=-1,
            convert2lab=image.shape[-1] == 3,
        )
        labels[place] = np.unique(found, return_inverse=True)[1].reshape(found.shape)
    return labels


class SuperpixelMethod(SuperpixelOptions, SignedMethod, MaskingMethod):
    """A method that weights each superpixel by masking some at a time."""

    @abstractmethod
    def weights(self, scored: ScoredImages, labels: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the weights of superpixels, [B, n] float32; n is the largest count in an image.

        Args:
            scored: Images and score.
            labels: [B, H, W], the superpixel of each pixel.
        """

    def attribute(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and the weight of each pixel's superpixel [B, H, W, 1]."""
        scored = ScoredImages.of(network, images, target)
        labels = superpixels(images.numpy(), self.superpixels, self.segmentation)
        weights = self.weights(scored, labels)
        painted = tf.gather(tf.constant(weights, tf.float32), labels, batch_dims=1)
        return scored.logits, painted[..., tf.newaxis]

    def coalition_changes(
        self,
        scored: ScoredImages,
        labels: NDArray[np.int32],
        owners: NDArray[np.int64],
        coalitions: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """Return changes [N] of the score's probability when only a coalition is shown.

        Args:
            scored: Images and score.
            labels: [B, H, W], the superpixel of each pixel.
            owners: [N], the image of each coalition.
            coalitions: [N, n], whether each superpixel is shown.
        """

        def masks_of(rows: tf.Tensor) -> tf.Tensor:
            chunk = rows.numpy()
            shown = coalitions[chunk].astype(np.float32)
            return tf.gather(shown, labels[owners[chunk]], batch_dims=1)

        mine = tf.constant(owners, tf.int32)
        return self.score_changes(scored, mine, masks_of).numpy()


def _grid(height: int, width: int, count: int) -> NDArray[np.int32]:
    """Return a grid [height, width] int32 of about `count` nearly square cells."""
    rows = min(height, max(1, round(math.sqrt(count * height / width))))
    columns = min(width, max(1, round(count / rows)))
    down = np.arange(height) * rows // height
    across = np.arange(width) * columns // width
    return (down[:, np.newaxis] * columns + across).astype(np.int32)
