"""Runs the methods as tf-keras-vis implements them: the reference that ours is compared with."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from proxy_keras.attribution.network import Network
from proxy_keras.graph import quiet_construction

with warnings.catch_warnings():
    # scipy.ndimage.interpolation, which it imports, is deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.layercam import Layercam
    from tf_keras_vis.scorecam import Scorecam

_GRADIENT_METHODS = {
    "grad_cam": Gradcam,
    "grad_cam_plus_plus": GradcamPlusPlus,
    "layer_cam": Layercam,
}
_SCORE_METHODS = ("score_cam", "faster_score_cam")


class _SilentModel(keras.Model):
    """A functional model whose `predict`, which tf-keras-vis calls, shows no progress bar."""

    def predict(self, x: Any, batch_size: int | None = None) -> Any:
        return super().predict(x, batch_size=batch_size, verbose=0)


class ReferenceEngine:
    """tf-keras-vis on a classifier that is already flat, float32 and without softmax.

    Grad-CAM and LayerCAM give the maps of the compiled engine. Grad-CAM++ differs: tf-keras-vis
    divides each channel's alphas by their sum, and computes exp(logit), which overflows beyond a
    logit of 88. Score-CAM enlarges its masks with aligned corners, and Faster Score-CAM likewise.

    Args:
        network: The classifier.
        method: Name of one of the five methods that tf-keras-vis has.
        options: The method's options: `chunk_size`, `channels`.

    Raises:
        ValueError: tf-keras-vis has no such method.
    """

    def __init__(self, network: Network, method: str, options: dict[str, Any]) -> None:
        if method not in _GRADIENT_METHODS and method not in _SCORE_METHODS:
            raise ValueError(
                f"engine='tf-keras-vis' has no method '{method}', only "
                f"{', '.join([*_GRADIENT_METHODS, *_SCORE_METHODS])}. Use engine='compiled'."
            )
        with quiet_construction():
            inputs = keras.Input(batch_shape=network.features.inputs[0].shape, name="images")
            target, *rest = tf.nest.flatten(network.features(inputs))
            # It asks for a layer; this one has the target as its only output.
            self._layer = keras.layers.Identity(name="target")
            logits = network.head([self._layer(target), *rest])
            model = _SilentModel([inputs], logits, name="reference")
        self._method = method
        self._batch_size = options.get("chunk_size", 32)
        self._channels = options.get("channels", 10) if method == "faster_score_cam" else None
        self._most_channels = int(target.shape[-1])
        self._visualise = _GRADIENT_METHODS.get(method, Scorecam)(model)

    def raw_heatmaps(self, images: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Heatmaps [B, h, w] float32 at the target layer's resolution, not scaled.

        Args:
            images: [B, H, W, C] float32.
            weights: [B, K] float32; the score is sum(weights * logits).

        Raises:
            RuntimeError: tf-keras-vis's Grad-CAM++ overflowed.
        """
        if self._method in _GRADIENT_METHODS:
            heatmaps = self._call(images, weights)
        else:
            # All channels of all images at once would need gigabytes, and the channels of
            # Faster Score-CAM would be chosen for the whole batch.
            pairs = zip(tf.split(images, len(images)), tf.split(weights, len(images)), strict=True)
            heatmaps = np.concatenate([self._call(*pair) for pair in pairs])
        if self._method == "grad_cam_plus_plus" and not np.isfinite(heatmaps).all():
            raise RuntimeError(
                "tf-keras-vis's Grad-CAM++ computes exp(logit), which overflowed for "
                f"{int((~np.isfinite(heatmaps)).any(axis=(1, 2)).sum())} images. Use "
                "engine='compiled', which does without."
            )
        return tf.convert_to_tensor(heatmaps, tf.float32)

    def _call(self, images: tf.Tensor, weights: tf.Tensor) -> np.ndarray:
        arguments: dict[str, Any] = {}
        if self._method in _SCORE_METHODS:
            arguments["batch_size"] = self._batch_size
            if self._channels is not None:
                arguments["max_N"] = min(self._channels, self._most_channels)
        return np.asarray(
            self._visualise(
                lambda logits: tf.reduce_sum(weights * logits, axis=-1),
                images,
                penultimate_layer=self._layer,
                seek_penultimate_conv_layer=False,
                expand_cam=False,
                normalize_cam=False,
                **arguments,
            )
        )
