"""Explains batches of images: logits and heatmaps from any Keras classifier, by any method."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from proxy_keras.attribution.catalogue import ENGINES
from proxy_keras.attribution.linear_head import find_linear_head
from proxy_keras.attribution.method import GradientMethod, SignedMethod
from proxy_keras.attribution.registry import make
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import ScoreFunction, check_explain, make_target
from proxy_keras.attribution.target_layer import expose_target
from proxy_keras.attribution.train_step_recorder import TrainStepRecorder
from proxy_keras.graph import FlatClone
from proxy_keras.heatmaps import scaling as heatmap_ops
from proxy_keras.heatmaps.scaling import scaling as maps_of


class Explainer:
    """Heatmaps of where a classifier looks, computed in float32 on a copy of it.

    Traced once, at first use, for any batch size. The model itself is not touched, whatever its
    dtype policy; after it was trained further, `refresh()` brings the copy up to date.

    Args:
        model: Any built Keras 3 classifier, one image input, one output [B, K]. A softmax or
            sigmoid at its end is left out, so that logits are explained.
        method: A name from `attribution.names()`.
        explain: The class whose score is explained: "predicted", "true" (needs labels), or
            "contrast": predicted minus true; where the two agree, that class itself. Or any
            differentiable callable from logits [N, K] to scores [N] that treats every row by
            itself (some methods perturb images), such as a `tf_keras_vis.utils.scores.Score`.
        target_layer: Name, or path "backbone/conv5", of the layer at which heatmaps are made.
            None: the last one that has cells, see `find_target_layer`.
        engine: "compiled", or "tf-keras-vis" for that library's own implementation.
        smooth: Standard deviation in cells of a Gaussian blur of the heatmaps, >= 0.
        progress: Shows a bar, where the method is one that takes long.
        **options: Options of the method, e.g. `channels=10`.

    Attributes:
        target_layer: The target layer's name; None where the method looks at none.
        num_classes: K.
        single_pass: Whether logits and heatmaps cost one forward pass together.

    Raises:
        ValueError: An argument has no meaning, or the model cannot be copied or has no target
            layer; the message says what to do.
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
        self._image_shape = tuple(self._flat.model.inputs[0].shape[1:])
        self._map_shape = self._image_shape[:2]
        self.target_layer, layer = None, None
        if self._method.needs_layer:
            self.target_layer, layer = expose_target(self._flat, target_layer)
            if not self._method.has_image_size:
                self._map_shape = tuple(layer.shape[1:3])
        elif target_layer is not None:
            raise ValueError(f"Method '{method}' looks at no layer. Leave `target_layer` out.")
        self.num_classes = int(self._flat.output.shape[1])
        self.single_pass = engine == "compiled" and self._method.single_pass
        self._network = Network(self._flat, layer)
        self._attribute = self._attribute_compiled
        if engine == "tf-keras-vis":
            # Only here, for the library is slow to import and warns while doing so.
            from proxy_keras.attribution.tf_keras_vis import ReferenceEngine

            self._reference = ReferenceEngine(self._network, method, self._method)
            self._attribute = self._attribute_by_reference

    @property
    def map_shape(self) -> tuple[int, int]:
        """(h, w) of the heatmaps.

        Raises:
            ValueError: The model takes images of any size, so that the images decide it.
        """
        if None in self._map_shape:
            raise ValueError(
                "The model takes images of any size, so its heatmaps have no fixed shape. Build "
                "it with keras.Input((height, width, channels))."
            )
        return self._map_shape

    def prepare(self) -> None:
        """Compiles the method now, which the first use would do.

        Raises:
            ValueError: The method cannot explain this network; the message says what it needs.
        """
        if self.engine == "compiled":
            _ = self._traced_heatmaps

    def train_step_recorder(self) -> TrainStepRecorder:
        """What gives logits and heatmaps out of the model's own training steps.

        Raises:
            ValueError: The method is not one that combines activations and gradients of the target
                layer, or more than global average pooling and one dense layer follow it.
        """
        if not isinstance(self._method, GradientMethod) or self.engine != "compiled":
            raise ValueError(
                f"Method '{self.method}' with engine='{self.engine}' gives no heatmaps in a "
                "training step. Use grad_cam, for example, with engine='compiled'; or "
                "wrong_from='evaluation'."
            )
        target = self._network.target_tensor
        head = None if target is None else find_linear_head(self._flat, target)
        if target is None or head is None:
            raise ValueError(
                "Heatmaps in a training step need a head of global average pooling and one dense "
                f"layer. Layer '{self.target_layer}' is followed by something else. Use "
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
        """The copy that is explained. Weights set in it hold until `refresh()`."""
        return self._flat

    def refresh(self) -> None:
        """Copies the model's weights again; to be called after it was trained further."""
        self._flat.refresh()

    def logits(self, images: Any) -> np.ndarray:
        """The model's answers before any softmax, [B, K] float32.

        Args:
            images: [B, H, W, C], any real dtype, in the range that the model takes.
        """
        images = self._checked_images(images)
        if images.shape[0] == 0:
            return np.zeros([0, self.num_classes], np.float32)
        logits = self._network.compiled.logits(images).numpy()
        self._check_finite("logits", logits)
        return logits

    def heatmaps(self, images: Any, labels: Any = None) -> np.ndarray:
        """Heatmaps [B, h, w] float32 in [0, 1], each scaled by its own minimum and maximum.

        Takes and raises what `logits_and_heatmaps` does.
        """
        return self.logits_and_heatmaps(images, labels)[1]

    def logits_and_heatmaps(self, images: Any, labels: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Logits [B, K] and heatmaps [B, h, w] in [0, 1], float32.

        Args:
            images: [B, H, W, C], any real dtype, in the range that the model takes.
            labels: [B] integers in [0, K); needed to explain "true" or "contrast".

        Returns:
            A heatmap that is the same everywhere (blank) is all zeros.

        Raises:
            ValueError: Images or labels have the wrong shape, or labels are missing or no classes.
            FloatingPointError: The model computes values that are not finite, as after a diverged
                training.
        """
        images = self._checked_images(images)
        labels = self._checked_labels(labels, images.shape[0])
        if images.shape[0] == 0:
            empty = np.zeros([0, self.num_classes], np.float32)
            return empty, np.zeros([0, *(size or 0 for size in self._map_shape)], np.float32)
        logits, heatmaps = (result.numpy() for result in self._attribute(images, labels))
        self._check_finite("logits", logits)
        self._check_finite("heatmaps", heatmaps)
        return logits, heatmaps

    def attributions(self, images: Any, labels: Any = None) -> np.ndarray:
        """Signed attributions [B, h, w, D] float32, not scaled: what adds to the score or takes.

        D is that of the target layer, or of the image for methods that explain its values. Takes
        and raises what `logits_and_heatmaps` does.

        Raises:
            ValueError: The method knows no signs, or the engine is not "compiled".
        """
        attribute = self._traced_attributions
        images = self._checked_images(images)
        labels = self._checked_labels(labels, images.shape[0])
        if images.shape[0] == 0:
            raise ValueError("Attributions need at least one image. Received: none.")
        attributions = attribute(images, labels)[1].numpy()
        self._check_finite("attributions", attributions)
        return attributions

    def _check_finite(self, what: str, values: np.ndarray) -> None:
        broken = int((~np.isfinite(values.reshape(len(values), -1))).any(axis=1).sum())
        if broken:
            near = "" if self.target_layer is None else f" up to layer '{self.target_layer}' and on"
            raise FloatingPointError(
                f"{broken} of {len(values)} {what} are not finite. Look for NaN in the weights"
                f"{near}, and in the images."
            )

    @cached_property
    def _traced_heatmaps(self) -> Callable[[tf.Tensor, tf.Tensor], tuple[Any, Any]]:
        return self._compiled(self._method)

    @cached_property
    def _traced_attributions(self) -> Callable[[tf.Tensor, tf.Tensor], tuple[Any, Any]]:
        if not isinstance(self._method, SignedMethod) or self.engine != "compiled":
            raise ValueError(
                f"Method '{self.method}' with engine='{self.engine}' gives heatmaps, but no signed "
                "attributions. Use integrated_gradients, for example, with engine='compiled'."
            )
        return self._compiled(self._method.attribute)

    def _compiled(
        self, attribute: Callable[..., tuple[tf.Tensor, tf.Tensor]]
    ) -> Callable[[tf.Tensor, tf.Tensor], tuple[Any, Any]]:
        """(images, labels) -> what `attribute` gives; compiled as far as the method allows."""
        if not self._method.is_traced:
            return lambda images, labels: attribute(
                self._network.compiled, images, make_target(self.explain, labels)
            )

        def traced(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return attribute(self._network, images, make_target(self.explain, labels))

        # Like Keras' own steps, without AutoGraph, which would wrap a method's error in a trace.
        return tf.function(traced, autograph=False).get_concrete_function(
            tf.TensorSpec([None, *self._image_shape], tf.float32), tf.TensorSpec([None], tf.int32)
        )

    def _attribute_compiled(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[Any, Any]:
        logits, raw = self._traced_heatmaps(images, labels)
        return logits, self._postprocess(raw)

    def _attribute_by_reference(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[Any, Any]:
        logits = self._network.compiled.logits(images)
        score = make_target(self.explain, labels)(logits)
        return logits, self._postprocess(self._reference.raw_heatmaps(images, score))

    def _postprocess(self, raw: tf.Tensor) -> tf.Tensor:
        """Heatmaps in [0, 1] of raw ones, blurred in between if so wished."""
        scaled = heatmap_ops.normalise(raw)
        return (
            heatmap_ops.normalise(heatmap_ops.smooth(scaled, self.smooth))
            if self.smooth
            else scaled
        )

    def _checked_images(self, images: Any) -> tf.Tensor:
        images = tf.cast(tf.convert_to_tensor(images), tf.float32)
        if images.shape.rank == len(self._image_shape):
            raise ValueError(
                f"Images come in batches, [B, H, W, C]. Received: shape {tuple(images.shape)}. "
                "For a single image pass images[None]."
            )
        if not images.shape[1:].is_compatible_with(self._image_shape):
            raise ValueError(
                f"The model takes images {self._image_shape}. Received: batch of shape "
                f"{tuple(images.shape)}. Resize them first."
            )
        return images

    def _checked_labels(self, labels: Any, count: int) -> tf.Tensor:
        if self.explain == "predicted" or callable(self.explain):
            return tf.zeros([count], tf.int32)
        if labels is None:
            raise ValueError(f"explain='{self.explain}' needs `labels`, [B] integers.")
        labels = np.asarray(labels)
        if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"`labels` must be {count} integers, one per image. Received: shape "
                f"{labels.shape}, dtype {labels.dtype}. For one-hot labels pass their argmax."
            )
        if count and not (labels.min() >= 0 and labels.max() < self.num_classes):
            raise ValueError(
                f"`labels` must be in [0, {self.num_classes}). Received: {labels.min()} to "
                f"{labels.max()}"
            )
        return tf.constant(labels, tf.int32)
