"""Base classes of the attribution methods, and helpers that scale and combine tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import tensorflow as tf

from proxy_keras.attribution.method_options import ChunkOptions
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Target
from proxy_keras.io.progress import progress_bar

MethodOutput = tuple[tf.Tensor, tf.Tensor]
"""Logits [B, K], and raw heatmaps [B, h, w] or signed attributions [B, h, w, D]."""


class Method(ABC):
    """An attribution method with its options, which are the arguments of its constructor.

    Attributes:
        single_pass: Whether one forward pass gives both logits and heatmaps.
        is_traced: Whether a call is traced into one TensorFlow graph. Methods with long loops are
            not traced, so that they can show their progress; they get a compiled network.
        has_image_size: Whether heatmaps have the size of the images, not of the target layer.
        needs_layer: Whether the method uses the target layer.
        needs_image_gradient: Whether the method uses the score's gradient by the image.
        progress: Whether a method that is not traced shows a progress bar.
    """

    single_pass: ClassVar[bool] = False
    is_traced: ClassVar[bool] = True
    has_image_size: ClassVar[bool] = False
    needs_layer: ClassVar[bool] = True
    needs_image_gradient: ClassVar[bool] = False
    progress: bool = False

    @abstractmethod
    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and raw heatmaps.

        Args:
            network: The classifier.
            images: [B, H, W, C] float32, B >= 1; B is unknown while a call is traced.
            target: Maps the logits to the score to explain.

        Returns:
            Logits [B, K] and heatmaps [B, h, w] float32, >= 0, not scaled.
        """


class GradientMethod(Method):
    """A method that combines the activations of the target layer with the score's gradient there.

    Only the head is differentiated, so an explanation costs little more than the forward pass.
    """

    single_pass: ClassVar[bool] = True

    @abstractmethod
    def combine(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return raw heatmaps [B, h, w], >= 0.

        Args:
            activations: [B, h, w, D] float32.
            gradients: [B, h, w, D] float32, of the score with respect to `activations`; or
                [B, 1, 1, D] if they are the same in all cells.
        """

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and raw heatmaps from one forward pass; see `Method`."""
        activations, rest = network.run_features(images)
        logits, gradients = network.gradients(activations, rest, target)
        return logits, self.combine(activations, gradients)


class SignedMethod(Method):
    """A method that gives each value a signed contribution to the score.

    Its heatmap is the positive part of the sum over channels.
    """

    @abstractmethod
    def attribute(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        """Return logits and signed attributions; the arguments are those of a call.

        Returns:
            Logits [B, K], and attributions [B, h, w, D] float32 of the target layer's activations
            or, with `has_image_size`, of the image's values; not scaled.
        """

    def __call__(self, network: Network, images: tf.Tensor, target: Target) -> MethodOutput:
        logits, attributions = self.attribute(network, images, target)
        attributions, _ = unit_scale(attributions)
        return logits, tf.nn.relu(tf.reduce_sum(attributions, axis=-1))


class ChunkedMethod(ChunkOptions, Method):
    """A method that runs the network on many perturbed copies, in chunks."""

    is_traced: ClassVar[bool] = False

    def chunks(self, total: int, what: str) -> Iterator[tf.Tensor]:
        """Yield the integers below `total` in chunks [n] int32, with an optional progress bar."""
        with progress_bar(total=total, desc=what, leave=False, shown=self.progress) as bar:
            for start in range(0, total, self.chunk_size):
                stop = min(start + self.chunk_size, total)
                yield tf.range(start, stop)
                bar.update(stop - start)


def unit_scale(tensor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return each example divided by its largest magnitude, and that magnitude.

    A factor per image does not change the final heatmap, which is scaled by its own range; without
    it, products of large gradients and activations would overflow float32.

    Args:
        tensor: [B, h, w, D] float32.

    Returns:
        [B, h, w, D] in [-1, 1], and [B, 1, 1, 1]. All-zero examples stay zero.
    """
    scale = tf.reduce_max(tf.abs(tensor), axis=[1, 2, 3], keepdims=True)
    return tf.math.divide_no_nan(tensor, scale), scale


def weighted_channels(activations: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Return the ReLU of the weighted sum of channels, up to a factor per image.

    Args:
        activations: [B, h, w, D] float32.
        weights: [B, h, w, D] or [B, 1, 1, D] float32.

    Returns:
        [B, h, w] float32, at most the largest activation, so it cannot overflow.
    """
    weights, _ = unit_scale(weights)
    # Scaling the weights is cheaper than scaling the activations, of which there are more.
    weights /= tf.cast(tf.shape(activations)[-1], tf.float32)
    return tf.nn.relu(tf.reduce_sum(activations * weights, axis=-1))
