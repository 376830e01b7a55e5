"""The share of each image's evidence on each cue, computed with forward operations only."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from export.forward_network import ForwardNetwork
from proxy_keras.cues import CueFacts, Cues
from proxy_keras.cues.evident_layer import predicted_over_mean
from proxy_keras.graph import FlatClone

_CLASSES_NAMED = 3
"""Classes that a description names, at most."""


@dataclass(frozen=True)
class ExportedCue:
    """A cue as an exported file knows it.

    Attributes:
        name: Its name, such as "3" or "3b".
        is_ticked: Whether it is ticked: not the object.
        description: What is known about it, one line.
    """

    name: str
    is_ticked: bool
    description: str


class CueShares:
    """A function of images that returns the shares of their evidence on cues.

    Args:
        flat: The classifier in which the cues were found.
        target: The output of the layer in which they were found, a tensor of `flat`.
        cues: The cues.

    Attributes:
        cues: The K cues of the outputs: those that are shown, where one that is ticked in part is
            replaced by its halves, until each is ticked as a whole or not at all.

    Raises:
        ValueError: A layer after the target layer has no VJP rule.
    """

    def __init__(self, flat: FlatClone, target: keras.KerasTensor, cues: Cues) -> None:
        self._network = ForwardNetwork(flat, target, purpose="cues")
        self._layer = cues.target_layer
        self._centroids = cues.tree.clusters.centroids
        self.cues = exported_cues(cues)
        members = np.zeros([len(self._centroids), len(self.cues)], np.float32)
        for column, cue in enumerate(self.cues):
            members[cues.tree.members(cue.name), column] = 1.0
        self._members = members
        self._is_ticked = np.array([[float(cue.is_ticked)] for cue in self.cues], np.float32)

    def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compute the outputs of the file.

        Args:
            images: [B, H, W, 3] float32.

        Returns:
            `logits` [B, classes]; `cues` [B, K], the share of each image's evidence on each cue, in
            [0, 1], rows sum to 1, or to 0 in an image without evidence; and `ticked_share` [B],
            that on all ticked cues. All float32.
        """
        activations, logits, parts = self._parts_of_evidence(images)
        evidence = tf.nn.relu(tf.reduce_sum(parts, axis=-1))
        height, width, depth = activations.shape[1:]
        features = tf.reshape(activations, [-1, height * width, depth])
        # The nearest centroid by cosine is that of the largest product: the centroids have length
        # 1, and the length of a cell's features is the same for all of them.
        products = tf.matmul(features, tf.constant(self._centroids.T))
        nearest = tf.argmax(products, axis=-1, output_type=tf.int32)
        cue_of_cell = tf.gather(tf.constant(self._members), nearest)
        by_cell = tf.reshape(evidence, [-1, 1, height * width])
        by_cue = tf.reshape(tf.matmul(by_cell, cue_of_cell), [-1, len(self.cues)])
        total = tf.reduce_sum(by_cue, axis=-1, keepdims=True)
        shares = tf.math.divide_no_nan(by_cue, total)
        ticked = tf.reshape(tf.matmul(shares, tf.constant(self._is_ticked)), [-1])
        return {"logits": logits, "cues": shares, "ticked_share": ticked}

    def _parts_of_evidence(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return the activations, the logits, and each activation times its gradient."""
        activations, rest = self._network.run_features(images)
        logits, gradients = self._network.gradients(activations, rest, predicted_over_mean)
        return activations, logits, activations * gradients


def exported_cues(cues: Cues) -> list[ExportedCue]:
    """Return the cues of an exported file, see `CueShares`."""
    names = [part for name in cues.shown for part in _opened(cues, name)]
    ticked = cues.ticked_clusters
    return [
        ExportedCue(
            name,
            bool(ticked[cues.tree.members(name)].all()),
            _description(cues.facts(name), cues.classes),
        )
        for name in names
    ]


def check_found_in(cues: Cues, model: keras.Model, path: str | None) -> None:
    """Check that cues were found in this model.

    Args:
        cues: The cues.
        model: The model to export.
        path: Its run folder or file, for the message; None: unknown.

    Raises:
        ValueError: The cues were found in another model, or none is ticked.
    """
    own, found_in = model.get_weights(), cues.model.get_weights()
    if len(own) != len(found_in) or not all(map(np.array_equal, own, found_in)):
        shown = path or "MODEL"
        raise ValueError(
            "Cues can only be exported with the network that they were found in, because they are "
            f"clusters of its own features. Received: the cues of another network than {shown}. "
            f"Find cues in this one and tick them (python -m proxy_keras.cues {shown}), or leave "
            "them out: --no-cues"
        )
    if not cues.ticked_clusters.any():
        raise ValueError(
            "At least one cue must be ticked; otherwise `ticked_share` is 0 for every image. Tick "
            "what is not the object (python -m proxy_keras.cues MODEL --page), or leave the cues "
            "out: --no-cues"
        )


def _opened(cues: Cues, name: str) -> list[str]:
    ticked = cues.ticked_clusters[cues.tree.members(name)]
    if ticked.all() or not ticked.any():
        return [name]
    return [part for half in cues.tree.halves_of(name) for part in _opened(cues, half)]


def _description(facts: CueFacts, classes: list[str] | None) -> str:
    text = f"{facts.evidence_share:.1%} of all evidence, present in {facts.present_in:,} images"
    present = np.nan_to_num(np.array(facts.classes))
    most = [k for k in np.argsort(-present, kind="stable")[:_CLASSES_NAMED] if present[k] > 0]
    if most:
        named = [f"class {k}" if classes is None else classes[k] for k in most]
        text += f", most often of {', '.join(named)}"
    if facts.inside is not None:
        text += f"; {facts.inside:.0%} of it on the object in {facts.inside_images:,} images"
    return text
