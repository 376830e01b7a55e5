"""CellReader: the features and the evidence of every cell of a classifier's target layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.attribution.input_checks import check_finite, check_images
from proxy_keras.attribution.split_network import Network
from proxy_keras.cues.evident_layer import expose_evident_target, predicted_over_mean
from proxy_keras.graph import FlatClone


class CellFeatures(NamedTuple):
    """What the target layer computes for a batch of images.

    Attributes:
        features: [B, h, w, D] float32, each cell scaled to length 1; zeros stay zero.
        evidence: [B, h, w] float32 in [0, 1], see `CellReader`.
        logits: [B, K] float32.
    """

    features: NDArray[np.float32]
    evidence: NDArray[np.float32]
    logits: NDArray[np.float32]


class NearestCells(NamedTuple):
    """The nearest centroid of every cell of a batch of images.

    Attributes:
        clusters: [B, h, w] int32, rows of the centroids; 0 for a cell without features.
        similarity: [B, h, w] float32 in [-1, 1], cosine similarity to that centroid; 0 for a cell
            without features.
        evidence: [B, h, w] float32 in [0, 1], see `CellReader`.
        logits: [B, K] float32.
    """

    clusters: NDArray[np.int32]
    similarity: NDArray[np.float32]
    evidence: NDArray[np.float32]
    logits: NDArray[np.float32]


class CellReader:
    """Reads the cells of a classifier's target layer, in float32 on a copy of the classifier.

    The evidence of a cell is the part of it that favours the predicted class over the mean of all
    classes: the sum over channels of activation times gradient of that difference of logits.
    Negative evidence is removed, and each image is scaled by its own maximum. For a head of global
    average pooling and one dense layer W, and cells F, this is `relu(F (W_predicted - mean W))`
    divided by its maximum. An image without evidence has zeros.

    The model is not changed, and later changes of its weights are not followed.

    Args:
        model: Any built Keras 3 classifier, as in `attribution.Explainer`.
        target_layer: Name of the layer, or its path in nested models; None: the last one with
            spatial positions and evidence, see `expose_evident_target`.

    Attributes:
        target_layer: The layer's name.
        num_classes: K.
        depth: Channels D of the layer.
        image_shape: (H, W, C) of the images; None for a size that may vary.

    Raises:
        ValueError: The model cannot be copied, or has no such layer; the message says what to do.
    """

    def __init__(self, model: keras.Model, target_layer: str | None = None) -> None:
        # A name can be that of a layer inside a transformer block.
        flat = FlatClone(model, inline_blocks=True)
        self.target_layer, layer = expose_evident_target(flat, target_layer)
        self.num_classes = int(flat.output.shape[1])
        self.depth = int(layer.shape[3])
        self.image_shape = tuple(flat.model.inputs[0].shape[1:])
        self._network = Network(flat, layer)
        self._image_spec = tf.TensorSpec([None, *self.image_shape], tf.float32)

    def read(self, images: Any) -> CellFeatures:
        """Return the features of every cell.

        Args:
            images: [B, H, W, C], any real dtype, in the range that the model takes.

        Raises:
            ValueError: The images have the wrong shape.
            FloatingPointError: The model computes values that are not finite.
        """
        images = check_images(images, self.image_shape)
        return CellFeatures(*self._checked(self._read(images)))

    def nearest(self, images: Any, centroids: NDArray[np.float32]) -> NearestCells:
        """Return the nearest centroid of every cell.

        Args:
            images: [B, H, W, C], any real dtype, in the range that the model takes.
            centroids: [M, D] float32 of length 1.

        Raises:
            ValueError: The images have the wrong shape.
            FloatingPointError: The model computes values that are not finite.
        """
        images = check_images(images, self.image_shape)
        return NearestCells(*self._checked(self._nearest(images, tf.constant(centroids))))

    def assign(self, cells: CellFeatures, centroids: NDArray[np.float32]) -> NearestCells:
        """Return the nearest centroid of cells that were read before, as `nearest` does."""
        clusters, similarity = self._closest(tf.constant(cells.features), tf.constant(centroids))
        return NearestCells(clusters.numpy(), similarity.numpy(), cells.evidence, cells.logits)

    # Traced at first use: saved cues only look for the nearest centroids.
    @cached_property
    def _read(self) -> Callable[..., Any]:
        return _traced(self._cells, self._image_spec)

    @cached_property
    def _nearest(self) -> Callable[..., Any]:
        centroids = tf.TensorSpec([None, self.depth], tf.float32)
        return _traced(self._nearest_cells, self._image_spec, centroids)

    @cached_property
    def _closest(self) -> Callable[..., Any]:
        features = tf.TensorSpec([None, None, None, self.depth], tf.float32)
        return _traced(_closest, features, tf.TensorSpec([None, self.depth], tf.float32))

    def _checked(self, tensors: tuple[tf.Tensor, ...]) -> list[NDArray[Any]]:
        arrays = [tensor.numpy() for tensor in tensors]
        check_finite("logits", arrays[-1], self.target_layer)
        check_finite("cells", arrays[-2], self.target_layer)
        return arrays

    def _cells(self, images: tf.Tensor) -> tuple[tf.Tensor, ...]:
        activations, rest = self._network.run_features(images)
        logits, gradients = self._network.gradients(activations, rest, predicted_over_mean)
        evidence = tf.nn.relu(tf.reduce_sum(activations * gradients, axis=-1))
        highest = tf.reduce_max(evidence, axis=[1, 2], keepdims=True)
        features = tf.math.divide_no_nan(activations, tf.norm(activations, axis=-1, keepdims=True))
        return features, tf.math.divide_no_nan(evidence, highest), logits

    def _nearest_cells(self, images: tf.Tensor, centroids: tf.Tensor) -> tuple[tf.Tensor, ...]:
        features, evidence, logits = self._cells(images)
        return *_closest(features, centroids), evidence, logits


def _closest(features: tf.Tensor, centroids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the row [B, h, w] of the most similar centroid, and the similarity to it."""
    similarity = tf.tensordot(features, centroids, [[3], [1]])
    nearest = tf.argmax(similarity, axis=-1, output_type=tf.int32)
    return nearest, tf.reduce_max(similarity, axis=-1)


def _traced(function: Callable[..., Any], *specs: tf.TensorSpec) -> Callable[..., Any]:
    # Concrete functions never trace again, whatever the batch size.
    return tf.function(function, autograph=False).get_concrete_function(*specs)
