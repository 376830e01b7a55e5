"""The outputs of a file, with the heatmap computed with forward operations that ONNX has."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from export.cue_shares import CueShares
from export.forward_network import ForwardNetwork
from proxy_keras.attribution.grad_cam import GradCAM
from proxy_keras.attribution.grad_cam_plus_plus import GradCAMPlusPlus
from proxy_keras.attribution.hires_cam import HiResCAM
from proxy_keras.attribution.layer_cam import LayerCAM
from proxy_keras.attribution.layer_score_cam import LayerScoreCAM
from proxy_keras.attribution.linear_head import LinearHead
from proxy_keras.attribution.method import GradientMethod, Method
from proxy_keras.attribution.split_network import Network
from proxy_keras.attribution.target import Score, make_target
from proxy_keras.graph import FlatClone
from proxy_keras.heatmaps import scaling

NONE = "none"
"""No heatmap: the file returns class scores only."""


class BatchedLayerScoreCAM(LayerScoreCAM):
    """Layer-Score-CAM for a dynamic batch size."""

    def _by_passes(
        self,
        network: Network,
        activations: tf.Tensor,
        rest: list[tf.Tensor],
        logits: tf.Tensor,
        score: Score,
    ) -> tf.Tensor:
        batch = tf.shape(activations)[0]
        height, width, channels = activations.shape[1:]
        parts = []
        # Unrolled into a few copies of the head with shared weights, because not every ONNX runtime
        # supports loops.
        for start in range(0, channels, self.chunk_size):
            # [B, m, h, w, 1]
            masks = scaling.normalise(activations[..., start : start + self.chunk_size])
            masks = tf.transpose(masks, [0, 3, 1, 2])[..., tf.newaxis]
            count = masks.shape[1]
            changed = tf.reshape(activations[:, tf.newaxis] * masks, [-1, height, width, channels])
            owners = _owners(batch, count)
            answers = network.run_head(changed, [tf.gather(tensor, owners) for tensor in rest])
            parts.append(
                tf.reshape(self.channel_weights(score, answers, logits, owners), [-1, count])
            )
        return tf.concat(parts, axis=1)

    def _in_closed_form(
        self, head: LinearHead, activations: tf.Tensor, logits: tf.Tensor, score: Score
    ) -> tf.Tensor:
        channels, classes = activations.shape[-1], logits.shape[-1]
        answers = self.linear_logits(activations, logits, head)
        weights = self.channel_weights(
            score,
            tf.reshape(answers, [-1, classes]),
            logits,
            _owners(tf.shape(activations)[0], channels),
        )
        return tf.reshape(weights, [-1, channels])


def _owners(batch: tf.Tensor, count: int) -> tf.Tensor:
    """Return [batch * count] int32: 0 `count` times, then 1, and so on."""
    return tf.reshape(tf.tile(tf.range(batch)[:, tf.newaxis], [1, count]), [-1])


METHODS: dict[str, type[Method]] = {
    "grad_cam": GradCAM,
    "grad_cam_plus_plus": GradCAMPlusPlus,
    "layer_cam": LayerCAM,
    "hires_cam": HiResCAM,
    "layer_score_cam": BatchedLayerScoreCAM,
}
"""Attribution methods that can be exported."""


class Explained:
    """A function of images that returns class scores, a heatmap, and shares of evidence on cues.

    Args:
        flat: The classifier.
        target: The target layer's output, a tensor of `flat`; None: no heatmap.
        explain: A name of `METHODS`, or "none".
        shares: Computes the shares; None: they are left out.

    Raises:
        ValueError: A layer after the target layer has no VJP rule.
    """

    def __init__(
        self,
        flat: FlatClone,
        target: keras.KerasTensor | None,
        explain: str,
        shares: CueShares | None = None,
    ) -> None:
        self._flat = flat
        self._shares = shares
        self._method: Method | None = None
        if target is not None and explain != NONE:
            self._method = METHODS[explain]()
            needs_gradient = isinstance(self._method, GradientMethod)
            self._network = (ForwardNetwork if needs_gradient else Network)(flat, target)

    def __call__(self, images: tf.Tensor) -> dict[str, Any]:
        """Compute the outputs of the file.

        Args:
            images: [B, H, W, 3] float32.

        Returns:
            `logits` [B, K], `probabilities` [B, K]; unless `explain` is "none", `heatmap`
            [B, h, w] in [0, 1] of the predicted class; and `cues` and `ticked_share`, see
            `CueShares`. All float32.
        """
        # What they compute alike is merged when the graph is optimised.
        shares = {} if self._shares is None else self._shares(images)
        if self._method is None:
            logits = shares.get("logits")
            if logits is None:
                logits = self._flat.model(images, training=False)
            return {**shares, "logits": logits, "probabilities": self._flat.probabilities(logits)}
        target = make_target("predicted", tf.zeros([0], tf.int32))
        logits, raw = self._method(self._network, images, target)
        return {
            **shares,
            "logits": logits,
            "probabilities": self._flat.probabilities(logits),
            "heatmap": scaling.normalise(raw),
        }
