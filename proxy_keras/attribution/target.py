"""The score that an explanation is about, independent of the method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from proxy_keras.attribution.catalogue import EXPLAIN_CHOICES
from proxy_keras.attribution.tape_vjp import vjp

ScoreFunction = Callable[[tf.Tensor], Any]
"""Logits [N, K] -> scores [N], row by row, since the number of perturbed copies varies."""

Probabilities = Callable[[tf.Tensor], tf.Tensor]
"""Logits [N, K] -> probabilities [N, K]: a softmax or a sigmoid, see `FlatClone.probabilities`."""


class Score:
    """Scores of a batch of images and of perturbed copies of them.

    Args:
        definition: Weights [B, K] float32 of a sum of logits, chosen from the logits of the
            unperturbed images; or a user's function.
        probabilities: Those of the classifier.
    """

    def __init__(
        self, definition: tf.Tensor | ScoreFunction, probabilities: Probabilities = tf.nn.softmax
    ) -> None:
        self._probabilities = probabilities
        self._weights = None if callable(definition) else definition
        self._function = definition

    def __call__(self, logits: tf.Tensor, owners: tf.Tensor | None = None) -> tf.Tensor:
        """Return the scores of logits.

        Args:
            logits: [N, K] float32.
            owners: [N] integers, the index of the image that each row is a copy of. None: the
                rows are the batch itself.

        Returns:
            [N] float32.
        """
        if self._weights is None:
            return self._of_function(logits)
        weights = self._weights if owners is None else tf.gather(self._weights, owners)
        return tf.reduce_sum(weights * logits, axis=-1)

    def probability(self, logits: tf.Tensor, owners: tf.Tensor | None = None) -> tf.Tensor:
        """Return the scores of probabilities, which methods that perturb images measure.

        Arguments and return value are those of a call. A user's function still gets the logits.
        """
        return self(logits if self._weights is None else self._probabilities(logits), owners)

    def gradient(self, logits: tf.Tensor) -> tf.Tensor:
        """Return the gradients [B, K] float32 of the batch's scores by its logits [B, K]."""
        if self._weights is not None:
            return self._weights
        return vjp(self._of_function, logits)[1]()

    def _of_function(self, logits: tf.Tensor) -> tf.Tensor:
        scores = self._function(logits)
        if isinstance(scores, (list, tuple)):
            scores = tf.stack(scores)
        scores = tf.cast(scores, tf.float32)
        if scores.shape.rank != 1:
            raise ValueError(
                "A score to explain must give one number per row of logits [N, K]. Received: shape "
                f"{scores.shape}. Reduce it, e.g. lambda logits: logits[:, 3]."
            )
        return scores


Target = Callable[[tf.Tensor], Score]
"""Logits [B, K] of a batch -> the score to explain."""


def make_target(
    explain: str | ScoreFunction,
    labels: tf.Tensor,
    probabilities: Probabilities = tf.nn.softmax,
) -> Target:
    """Return the target for a value of the `explain` setting.

    Args:
        explain: "predicted", "true", "contrast" (predicted minus true), any callable from logits
            [N, K] to [N], or a `tf_keras_vis.utils.scores.Score`.
        labels: [B] int32; used by "true" and "contrast" only.
        probabilities: Those of the classifier.
    """
    if callable(explain):
        return lambda logits: _user_score(explain, logits, probabilities)
    return lambda logits: Score(class_weights(logits, labels, explain), probabilities)


def check_explain(explain: Any) -> None:
    """Check a value of the `explain` setting.

    Raises:
        ValueError: It is neither one of `EXPLAIN_CHOICES` nor callable.
    """
    if not callable(explain) and explain not in EXPLAIN_CHOICES:
        raise ValueError(
            f"`explain` must be one of {', '.join(EXPLAIN_CHOICES)}, or a callable from logits "
            f"[N, K] to [N]. Received: {explain!r}"
        )


def class_weights(logits: tf.Tensor, labels: tf.Tensor, explain: str) -> tf.Tensor:
    """Return weights w of the score sum(w * logits), one-hot or the difference of two one-hots.

    Args:
        logits: [B, K] float32.
        labels: [B] int32, the true classes.
        explain: One of `EXPLAIN_CHOICES`.

    Returns:
        [B, K] float32. Where the two classes of a contrast agree, the weights are that class's.
    """
    classes = tf.shape(logits)[1]
    predicted = tf.one_hot(tf.argmax(logits, axis=1), classes)
    true = tf.one_hot(labels, classes)
    if explain == "predicted":
        return predicted
    if explain == "true":
        return true
    is_wrong = tf.reduce_any(predicted != true, axis=1, keepdims=True)
    return predicted - true * tf.cast(is_wrong, tf.float32)


def _user_score(function: ScoreFunction, logits: tf.Tensor, probabilities: Probabilities) -> Score:
    indices = getattr(function, "indices", None)
    if indices is None:
        return Score(function)
    # A CategoricalScore of tf-keras-vis maps row i to the i-th class, which fails for copies.
    classes = np.asarray(indices)
    if classes.ndim != 1 or not np.issubdtype(classes.dtype, np.integer):
        raise ValueError(f"A CategoricalScore names one class per image. Received: {indices!r}")
    count, known = tf.shape(logits)[0], int(logits.shape[1])
    if not (classes.min() >= 0 and classes.max() < known):
        raise ValueError(f"Class ids must be in [0, {known}). Received: {indices!r}")
    ids = tf.broadcast_to(tf.constant(classes, tf.int32), [count])
    return Score(tf.one_hot(ids, known), probabilities)
