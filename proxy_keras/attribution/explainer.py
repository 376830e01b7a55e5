"""Logits and heatmaps of batches of images, for any Keras classifier and method."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from proxy_keras.attribution.catalogue import ENGINES
from proxy_keras.attribution.gradient_check import check_gradients, missing_gradients_named
from proxy_keras.attribution.input_checks import (
    check_channels_last,
    check_finite,
    check_images,
    check_labels,
)
from proxy_keras.attribution.linear_head import find_linear_head
from proxy_keras.attribution.method import GradientMethod, SignedMethod
from proxy_keras.attribution.registry import make
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import ScoreFunction, Target, check_explain, make_target
from proxy_keras.attribution.target_layer import expose_target
from proxy_keras.attribution.train_step_recorder import TrainStepRecorder
from proxy_keras.graph import FlatClone
from proxy_keras.heatmaps import scaling as heatmap_ops
from proxy_keras.io.extras import extra


class Explainer:
    """Heatmaps of where a classifier looks, computed in float32 on a copy of it.

    The copy is traced once, at first use, for any batch size. The model itself is not modified,
    whatever its dtype policy; call `refresh()` after further training to update the copy.

    Args:
        model: Any built Keras 3 classifier, one image input, one output [B, K]. A softmax or
            sigmoid at its end is removed, so that logits are explained.
        method: A name from `attribution.names()`.
        explain: The class whose score is explained: "predicted", "true" (needs labels), or
            "contrast": predicted minus true; where the two agree, that class. Or any
            differentiable callable from logits [N, K] to scores [N] that works row by row (some
            methods perturb images), such as a `tf_keras_vis.utils.scores.Score`.
        target_layer: Name, or path "backbone/conv5", of the layer whose activations are explained.
            None: the last layer with spatial positions, see `find_target_layer`.
        engine: "compiled", or "tf-keras-vis" for that library's own implementation.
        smooth: Standard deviation in cells of a Gaussian blur of the heatmaps, >= 0.
        progress: Whether slow methods show a progress bar.
        **options: Options of the method, e.g. `channels=10`.

    Attributes:
        target_layer: The target layer's name; None if the method does not use one.
        num_classes: K.
        single_pass: Whether one forward pass gives both logits and heatmaps.

    Raises:
        ValueError: An argument is invalid, or the model cannot be copied or has no target layer;
            the message says what to do.
    """

    def __init__(
        self,
        model: keras.Model,
        method: str = "grad_cam_plus_plus",
        *,
        explain: str | ScoreFunction = "predicted",
        target_layer: str | None = None,
        engine: str = "compiled",
        smooth: float = 0.0,
        progress: bool = False,
        **options: Any,
    ) -> None:
        check_explain(explain)
        if engine not in ENGINES:
            raise ValueError(f"`engine` must be one of {ENGINES}. Received: {engine!r}")
        if smooth < 0:
            raise ValueError(f"`smooth` must be >= 0 (in cells). Received: {smooth}")
        self.method = method
        self.explain = explain
        self.engine = engine
        self.smooth = smooth
        self._method = make(method, options)
        self._method.progress = progress
        self._model = model
        self._flat = FlatClone(model)
        check_channels_last(self._flat)
        self._image_shape = tuple(self._flat.model.inputs[0].shape[1:])
        self._map_shape = self._image_shape[:2]
        self.target_layer, layer = None, None
        if self._method.needs_layer:
            self.target_layer, layer = expose_target(self._flat, target_layer)
            if not self._method.has_image_size:
                self._map_shape = tuple(layer.shape[1:3])
        elif target_layer is not None:
            raise ValueError(f"Method '{method}' does not use a layer. Omit `target_layer`.")
        check_gradients(self._flat, self._method, method, layer)
        self.num_classes = int(self._flat.output.shape[1])
        self.single_pass = engine == "compiled" and self._method.single_pass
        self._network = Network(self._flat, layer)
        self._attribute = self._attribute_compiled
        if engine == "tf-keras-vis":
            # Imported here, because the library is slow to import and warns on import.
            with extra("explain"):
                from proxy_keras.attribution.tf_keras_vis import ReferenceEngine

            self._reference = ReferenceEngine(self._network, method, self._method)
            self._attribute = self._attribute_by_reference

    @property
    def map_shape(self) -> tuple[int, int]:
        """(h, w) of the heatmaps.

        Raises:
            ValueError: The model takes images of any size, so the shape is unknown.
        """
        if None in self._map_shape:
            raise ValueError(
                "The model takes images of any size, so its heatmaps have no fixed shape. Build "
                "it with keras.Input((height, width, channels))."
            )
        return self._map_shape

    def prepare(self) -> None:
        """Compile the method now instead of at first use.

        Raises:
            ValueError: The method cannot explain this network; the message says what it needs.
        """
        if self.engine == "compiled":
            _ = self._traced_heatmaps

    def train_step_recorder(self) -> TrainStepRecorder:
        """Return a recorder of logits and heatmaps from the model's own training steps.

        Raises:
            ValueError: The method does not combine activations and gradients of the target layer,
                or the head is not global average pooling and one dense layer.
        """
        if not isinstance(self._method, GradientMethod) or self.engine != "compiled":
            raise ValueError(
                f"Method '{self.method}' with engine='{self.engine}' cannot record heatmaps in "
                "training steps. Use grad_cam, for example, with engine='compiled'; or "
                "wrong_from='evaluation'."
            )
        target = self._network.target_tensor
        head = None if target is None else find_linear_head(self._flat, target)
        if target is None or head is None:
            raise ValueError(
                "Heatmaps in training steps need a head of global average pooling and one dense "
                f"layer. Layer '{self.target_layer}' is followed by other layers. Use "
                "wrong_from='evaluation'."
            )
        return TrainStepRecorder(
            self._model,
            self._flat.source_of(target._keras_history.operation),
            self._flat.source_of(head.layer),
            self._method,
            num_classes=self.num_classes,
            explain=self.explain,
            postprocess=self._postprocess,
            map_shape=self.map_shape,
        )

    @property
    def clone(self) -> FlatClone:
        """The copy that is explained. `refresh()` overwrites weights that were set in it."""
        return self._flat

    def refresh(self) -> None:
        """Copy the model's weights again, after further training."""
        self._flat.refresh()

    def logits(self, images: Any) -> np.ndarray:
        """Return the logits [B, K] float32, before any softmax.

        Args:
            images: [B, H, W, C], any real dtype, in the range that the model takes.
        """
        images = check_images(images, self._image_shape)
        if images.shape[0] == 0:
            return np.zeros([0, self.num_classes], np.float32)
        logits = self._network.compiled.logits(images).numpy()
        check_finite("logits", logits, self.target_layer)
        return logits

    def heatmaps(self, images: Any, labels: Any = None) -> np.ndarray:
        """Return heatmaps [B, h, w] float32 in [0, 1], each scaled by its own minimum and maximum.

        Arguments and exceptions are those of `logits_and_heatmaps`.
        """
        return self.logits_and_heatmaps(images, labels)[1]

    def logits_and_heatmaps(self, images: Any, labels: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Return logits [B, K] and heatmaps [B, h, w] in [0, 1], float32.

        Args:
            images: [B, H, W, C], any real dtype, in the range that the model takes.
            labels: [B] integers in [0, K); needed to explain "true" or "contrast".

        Returns:
            Logits and heatmaps. A constant (blank) heatmap is all zeros.

        Raises:
            ValueError: Images or labels have the wrong shape, or labels are missing or out of
                range.
            FloatingPointError: The model computes values that are not finite, for example because
                its training diverged.
        """
        images = check_images(images, self._image_shape)
        labels = check_labels(labels, images.shape[0], self.num_classes, self.explain)
        if images.shape[0] == 0:
            empty = np.zeros([0, self.num_classes], np.float32)
            return empty, np.zeros([0, *(size or 0 for size in self._map_shape)], np.float32)
        logits, heatmaps = (result.numpy() for result in self._attribute(images, labels))
        check_finite("logits", logits, self.target_layer)
        check_finite("heatmaps", heatmaps, self.target_layer)
        return logits, heatmaps

    def attributions(self, images: Any, labels: Any = None) -> np.ndarray:
        """Return signed attributions [B, h, w, D] float32, not scaled.

        D is that of the target layer, or of the image for methods that explain its values.
        Arguments and exceptions are those of `logits_and_heatmaps`.

        Raises:
            ValueError: The method has no signed attributions, or the engine is not "compiled".
        """
        attribute = self._traced_attributions
        images = check_images(images, self._image_shape)
        labels = check_labels(labels, images.shape[0], self.num_classes, self.explain)
        if images.shape[0] == 0:
            raise ValueError("Attributions need at least one image. Received: none.")
        attributions = attribute(images, labels)[1].numpy()
        check_finite("attributions", attributions, self.target_layer)
        return attributions

    @cached_property
    def _traced_heatmaps(self) -> Callable[[tf.Tensor, tf.Tensor], tuple[Any, Any]]:
        return self._compiled(self._method)

    @cached_property
    def _traced_attributions(self) -> Callable[[tf.Tensor, tf.Tensor], tuple[Any, Any]]:
        if not isinstance(self._method, SignedMethod) or self.engine != "compiled":
            raise ValueError(
                f"Method '{self.method}' with engine='{self.engine}' has heatmaps, but no signed "
                "attributions. Use integrated_gradients, for example, with engine='compiled'."
            )
        return self._compiled(self._method.attribute)

    def _compiled(
        self, attribute: Callable[..., tuple[tf.Tensor, tf.Tensor]]
    ) -> Callable[[tf.Tensor, tf.Tensor], tuple[Any, Any]]:
        """Return `attribute` as a function of images and labels, compiled if the method is."""
        if not self._method.is_traced:

            def untraced(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                with missing_gradients_named(self.method):
                    return attribute(self._network.compiled, images, self._target(labels))

            return untraced

        def traced(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return attribute(self._network, images, self._target(labels))

        # Like Keras' own steps, without AutoGraph, which obscures the errors of methods.
        images, labels = (
            tf.TensorSpec([None, *self._image_shape], tf.float32),
            tf.TensorSpec([None], tf.int32),
        )
        with missing_gradients_named(self.method):
            return tf.function(traced, autograph=False).get_concrete_function(images, labels)

    def _target(self, labels: tf.Tensor) -> Target:
        return make_target(self.explain, labels, self._flat.probabilities)

    def _attribute_compiled(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[Any, Any]:
        logits, raw = self._traced_heatmaps(images, labels)
        return logits, self._postprocess(raw)

    def _attribute_by_reference(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[Any, Any]:
        logits = self._network.compiled.logits(images)
        score = self._target(labels)(logits)
        return logits, self._postprocess(self._reference.raw_heatmaps(images, score))

    def _postprocess(self, raw: tf.Tensor) -> tf.Tensor:
        """Return raw heatmaps scaled to [0, 1], blurred in between if `smooth` is set."""
        scaled = heatmap_ops.normalise(raw)
        return (
            heatmap_ops.normalise(heatmap_ops.smooth(scaled, self.smooth))
            if self.smooth
            else scaled
        )
