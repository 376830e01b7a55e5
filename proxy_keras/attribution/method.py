"""What an attribution method is: logits and raw heatmaps from a network, images and a score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import tensorflow as tf
from tqdm.auto import tqdm

from proxy_keras.attribution.method_options import ChunkOptions
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target

MethodOutput = tuple[tf.Tensor, tf.Tensor]
"""Logits [B, K], and raw heatmaps [B, h, w] or signed attributions [B, h, w, D]."""


class Method(ABC):
    """One attribution method with its options, which are the arguments of its constructor.

    Attributes:
        single_pass: Whether the heatmaps come out of the forward pass that gives the logits.
        is_traced: Whether a call is traced into one TensorFlow graph. A method that loops for long
            is not, so that it can show its progress; its network is compiled then.
        has_image_size: Whether heatmaps have the size of the images, not of the target layer.
        needs_layer: Whether the method looks at the target layer.
        progress: Whether a method that is not traced shows a bar.
    """

    single_pass: ClassVar[bool] = False
    is_traced: ClassVar[bool] = True
    has_image_size: ClassVar[bool] = False
    needs_layer: ClassVar[bool] = True
    progress: bool = False

    @abstractmethod
    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Logits and raw heatmaps.

        Args:
            network: The classifier.
            images: [B, H, W, C] float32, B >= 1; of open batch size where the call is traced.
            target: Gives the score to explain, once the logits are known.

        Returns:
            Logits [B, K] and heatmaps [B, h, w] float32, >= 0 and not scaled.
        """


class GradientMethod(Method):
    """A method that combines the activations of the target layer with the score's gradient there.

    Only the head is differentiated, so that explaining costs hardly more than the forward pass.
    """

    single_pass: ClassVar[bool] = True

    @abstractmethod
    def combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Raw heatmaps [B, h, w], >= 0.

        Args:
            activations: [B, h, w, D] float32.
            gradients: [B, h, w, D] float32, of the score with respect to `activations`; or
                [B, 1, 1, D], if it is the same in all cells.
        """

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Logits and raw heatmaps from one forward pass; see `Method`."""
        activations, rest = network.run_features(images)
        logits, gradients = network.gradients(activations, rest, target)
        return logits, self.combine(activations, gradients)


class SignedMethod(Method):
    """A method that says how much each value adds to the score, and how much it takes from it.

    Its heatmap shows what speaks for the score: the positive part of the sum over channels.
    """

    @abstractmethod
    def attribute(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Logits [B, K] and signed attributions.

        Takes what a call takes.

        Returns:
            The attributions are [B, h, w, D] float32, of the target layer's activations or, where
            `has_image_size`, of the image's values; not scaled.
        """

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Logits and raw heatmaps; see `Method`."""
        logits, attributions = self.attribute(network, images, target)
        attributions, _ = unit_scale(attributions)
        return logits, tf.nn.relu(tf.reduce_sum(attributions, axis=-1))


class ChunkedMethod(ChunkOptions, Method):
    """A method that runs the network on many perturbed copies, a chunk at a time.

    Options: see `ChunkOptions`.
    """

    is_traced: ClassVar[bool] = False

    def chunks(self, total: int, what: str) -> Iterator[tf.Tensor]:
        """The numbers 0 to total - 1 in chunks, [n] int32, with a progress bar if wished."""
        with tqdm(total=total, desc=what, leave=False, disable=not self.progress) as bar:
            for start in range(0, total, self.chunk_size):
                stop = min(start + self.chunk_size, total)
                yield tf.range(start, stop)
                bar.update(stop - start)


def unit_scale(tensor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Each example divided by its largest magnitude, and that magnitude.

    Heatmaps are scaled by their own range in the end, so a factor per image is free; without it
    products of large gradients and activations would leave float32.

    Args:
        tensor: [B, h, w, D] float32.

    Returns:
        [B, h, w, D] in [-1, 1], and [B, 1, 1, 1]. An example of zeros stays zeros.
    """
    scale = tf.reduce_max(tf.abs(tensor), axis=[1, 2, 3], keepdims=True)
    return tf.math.divide_no_nan(tensor, scale), scale


def weighted_channels(activations: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """ReLU of the weighted sum of channels, up to a factor per image.

    Args:
        activations: [B, h, w, D] float32.
        weights: [B, h, w, D] or [B, 1, 1, D] float32.

    Returns:
        [B, h, w] float32, at most as large as the largest activation: it stays within float32.
    """
    weights, _ = unit_scale(weights)
    # The weights, which are often few, are made small: that costs less than the activations.
    weights /= tf.cast(tf.shape(activations)[-1], tf.float32)
    return tf.nn.relu(tf.reduce_sum(activations * weights, axis=-1))
