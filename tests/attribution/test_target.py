"""Scores to explain: classes, contrasts, callables on logits, and tf-keras-vis's scores."""

import warnings

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.attribution import Explainer, explain
from proxy_keras.attribution.target import Score, make_target

with warnings.catch_warnings():
    # scipy.ndimage.interpolation, which tf-keras-vis imports, is deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from tf_keras_vis.utils.scores import CategoricalScore, InactiveScore

LOGITS = tf.constant([[1.0, 3.0, 2.0], [0.0, -1.0, 4.0]])
LABELS = tf.constant([2, 2])


def _score(explain):
    return make_target(explain, LABELS)(LOGITS)


@pytest.mark.parametrize(
    ("explain", "scores", "gradient"),
    [
        ("predicted", [3.0, 4.0], [[0, 1, 0], [0, 0, 1]]),
        ("true", [2.0, 4.0], [[0, 0, 1], [0, 0, 1]]),
        ("contrast", [1.0, 4.0], [[0, 1, -1], [0, 0, 1]]),
        (lambda logits: logits[:, 0] ** 2, [1.0, 0.0], [[2, 0, 0], [0, 0, 0]]),
        (CategoricalScore([1, 0]), [3.0, 0.0], [[0, 1, 0], [1, 0, 0]]),
        (CategoricalScore(2), [2.0, 4.0], [[0, 0, 1], [0, 0, 1]]),
        (lambda logits: list(tf.unstack(logits[:, 1])), [3.0, -1.0], [[0, 1, 0], [0, 1, 0]]),
    ],
)
def test_scores_and_their_gradients(explain, scores, gradient):
    score = _score(explain)
    np.testing.assert_allclose(score(LOGITS), scores)
    np.testing.assert_allclose(score.gradient(LOGITS), gradient)


def test_copies_are_scored_as_the_image_that_they_are_copies_of():
    copies = tf.constant([[5.0, 1.0, 0.0], [0.0, 2.0, 7.0], [4.0, 6.0, 1.0]])
    score = _score("predicted")
    np.testing.assert_allclose(score(copies, [0, 1, 0]), [1.0, 7.0, 6.0])
    chances = np.exp(copies) / np.exp(copies).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        score.probability(copies, [0, 1, 0]), chances[[0, 1, 2], [1, 2, 1]], rtol=1e-6
    )


def test_a_callable_gets_logits_where_classes_get_probabilities():
    independent = make_target("true", LABELS, tf.sigmoid)(LOGITS)
    np.testing.assert_allclose(
        independent.probability(LOGITS), tf.sigmoid(tf.gather(LOGITS, LABELS, batch_dims=1))
    )
    score = Score(lambda logits: logits[:, 1])
    np.testing.assert_allclose(score.probability(LOGITS), [3.0, -1.0])


@pytest.mark.parametrize(
    ("explain", "message"),
    [
        (lambda logits: logits, r"one number per row of logits \[N, K\]"),
        (InactiveScore(), r"one number per row of logits \[N, K\]"),
        (CategoricalScore([0, 3]), r"Class ids must be in \[0, 3\)"),
    ],
)
def test_scores_that_do_not_work_row_by_row_are_refused(explain, message):
    with pytest.raises(ValueError, match=message):
        _score(explain)(LOGITS)


@pytest.mark.parametrize("method", ["grad_cam", "score_cam", "saliency"])
@pytest.mark.parametrize("engine", ["compiled", "tf-keras-vis"])
def test_a_class_a_callable_and_a_score_agree(build_cnn, images, method, engine):
    model = build_cnn()
    # Two batches, the second of them smaller.
    classes = [3, 1, 0, 2, 2, 1, 3]
    options = {"engine": engine, "batch_size": 4}
    by_id = explain(model, images, method, class_ids=classes, **options)
    by_score = explain(model, images, method, explain=CategoricalScore(classes), **options)
    np.testing.assert_array_equal(by_score, by_id)
    if method != "score_cam":  # Callables get logits, classes get probabilities.
        column = explain(model, images, method, explain=lambda logits: logits[:, 2], **options)
        expected = explain(model, images, method, class_ids=2, **options)
        np.testing.assert_allclose(column, expected, atol=1e-5)


def test_contrast_is_predicted_minus_given(build_cnn, images):
    model = build_cnn()
    predicted = Explainer(model, "grad_cam").logits(images).argmax(axis=1)
    against = (predicted + 1) % 4

    def difference(logits):
        rows = tf.range(len(images))
        return tf.gather_nd(logits, tf.stack([rows, predicted], axis=1)) - tf.gather_nd(
            logits, tf.stack([rows, against], axis=1)
        )

    np.testing.assert_allclose(
        explain(model, images, "grad_cam", explain="contrast", class_ids=against),
        explain(model, images, "grad_cam", explain=difference),
        atol=1e-5,
    )


def test_a_target_layer_is_refused_for_methods_without_one(build_cnn):
    with pytest.raises(ValueError, match="does not use a layer"):
        Explainer(build_cnn(), "saliency", target_layer="relu")


def test_signed_attributions_of_a_method_that_knows_no_signs_are_refused(build_cnn, images):
    with pytest.raises(ValueError, match="has heatmaps, but no signed attributions"):
        Explainer(build_cnn(), "grad_cam").attributions(images)
