"""The reference engine: methods as implemented by tf-keras-vis."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Score
from proxy_keras.graph import quiet_construction

with warnings.catch_warnings():
    # scipy.ndimage.interpolation, which it imports, is deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.layercam import Layercam
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.scorecam import Scorecam

_GRADIENT_METHODS = {
    "grad_cam": Gradcam,
    "grad_cam_plus_plus": GradcamPlusPlus,
    "layer_cam": Layercam,
}
_SCORE_METHODS = ("score_cam", "faster_score_cam")
_SALIENCY_METHODS = ("saliency", "smooth_grad")
REFERENCE_METHODS = (*_GRADIENT_METHODS, *_SCORE_METHODS, *_SALIENCY_METHODS)


class _SilentModel(keras.Model):
    """A functional model whose `predict`, which tf-keras-vis calls, shows no progress bar."""

    def predict(self, x: Any, batch_size: int | None = None) -> Any:
        return super().predict(x, batch_size=batch_size, verbose=0)


class ReferenceEngine:
    """tf-keras-vis on a classifier that is already flat, float32 and without softmax.

    Grad-CAM, LayerCAM and Saliency agree with the compiled engine. Grad-CAM++ differs:
    tf-keras-vis divides each channel's alphas by their sum, and computes exp(logit), which
    overflows beyond a logit of 88. Score-CAM and Faster Score-CAM enlarge their masks with aligned
    corners. SmoothGrad draws its noise from NumPy's global state and averages magnitudes.

    Args:
        network: The classifier.
        method: Name of one of the methods that tf-keras-vis has.
        options: The method's options, with defaults filled in.

    Raises:
        ValueError: tf-keras-vis has no such method.
    """

    def __init__(self, network: Network, method: str, options: Any) -> None:
        if method not in REFERENCE_METHODS:
            raise ValueError(
                f"engine='tf-keras-vis' has no method '{method}', only "
                f"{', '.join(REFERENCE_METHODS)}. Use engine='compiled'."
            )
        self._method = method
        if method in _SALIENCY_METHODS:
            flat = network.flat.model
            # tf-keras-vis calls its model with a list of inputs.
            self._visualise = Saliency(keras.Model([flat.inputs[0]], flat.outputs[0]))
            self._samples: dict[str, Any] = {}
            if method == "smooth_grad":
                self._samples["smooth_samples"] = options.samples
                self._samples["smooth_noise"] = options.noise
            return
        with quiet_construction():
            inputs = keras.Input(batch_shape=network.features.inputs[0].shape, name="images")
            target, *rest = tf.nest.flatten(network.features(inputs))
            # tf-keras-vis requires a layer; the output of this one is the target.
            self._layer = keras.layers.Identity(name="target")
            logits = network.head([self._layer(target), *rest])
            model = _SilentModel([inputs], logits, name="reference")
        self._score_options: dict[str, Any] = {}
        if method in _SCORE_METHODS:
            self._score_options["batch_size"] = options.chunk_size
        if method == "faster_score_cam":
            self._score_options["max_N"] = min(options.channels, int(target.shape[-1]))
        self._visualise = _GRADIENT_METHODS.get(method, Scorecam)(model)

    def raw_heatmaps(self, images: tf.Tensor, score: Score) -> tf.Tensor:
        """Return heatmaps [B, h, w] float32 at the method's own resolution, not scaled.

        Args:
            images: [B, H, W, C] float32.
            score: The score to explain.

        Raises:
            RuntimeError: tf-keras-vis's Grad-CAM++ overflowed.
        """
        if self._method not in _SCORE_METHODS:
            heatmaps = self._call(images, score)
        else:
            # All channels of all images at once need gigabytes, and Faster Score-CAM would
            # select channels for the whole batch.
            heatmaps = np.concatenate(
                [
                    self._call(image, partial(score, owners=[place]))
                    for place, image in enumerate(tf.split(images, len(images)))
                ]
            )
        if self._method == "grad_cam_plus_plus" and not np.isfinite(heatmaps).all():
            raise RuntimeError(
                "tf-keras-vis's Grad-CAM++ computes exp(logit), which overflowed for "
                f"{int((~np.isfinite(heatmaps)).any(axis=(1, 2)).sum())} images. Use "
                "engine='compiled', which does not compute it."
            )
        return tf.convert_to_tensor(heatmaps, tf.float32)

    def _call(self, images: tf.Tensor, score: Callable[[tf.Tensor], tf.Tensor]) -> np.ndarray:
        if self._method in _SALIENCY_METHODS:
            return np.asarray(self._visualise(score, images, normalize_map=False, **self._samples))
        return np.asarray(
            self._visualise(
                score,
                images,
                penultimate_layer=self._layer,
                seek_penultimate_conv_layer=False,
                expand_cam=False,
                normalize_cam=False,
                **self._score_options,
            )
        )
