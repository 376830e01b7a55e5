"""The compiled classifier: right scores in any chunks, whatever the model's end and policy."""

import keras
import numpy as np
import pytest
from scipy.special import softmax

from proxy_keras.metrics import CompiledClassifier
from proxy_keras.metrics.classifier import checked_class_ids


def test_copies_of_each_image_are_scored_in_any_chunks(build_linear):
    weights = np.array([[1.0, -2.0], [0.5, 3.0]])
    classifier = CompiledClassifier(build_linear(weights))
    images = np.random.default_rng(0).normal(size=(3, 2, 2, 1)).astype(np.float32)

    def copies(owners, which):
        return images[owners] * (which + 1.0)[:, None, None, None].astype(np.float32)

    logits = (images[..., 0] * weights).sum(axis=(1, 2))[:, None] * np.arange(1, 5)
    probability = 1 / (1 + np.exp(-logits))
    ids = np.array([0, 1, 0])
    expected = np.where(ids[:, None] == 0, probability, 1 - probability)
    for batch_size in (1, 5, 64):
        scores = classifier.scores_of_copies(ids, 4, copies, batch_size)
        np.testing.assert_allclose(scores, expected, atol=1e-6)
    raw = classifier.scores_of_copies(ids, 4, copies, 5, "logit")
    np.testing.assert_allclose(raw, np.where(ids[:, None] == 0, logits, 0), atol=1e-5)


def test_copies_are_scored_by_the_sigmoid_of_a_multi_label_classifier(build_linear):
    weights = np.array([[1.0, -2.0], [0.5, 3.0]])
    classifier = CompiledClassifier(build_linear(weights, "sigmoid"))
    images = np.random.default_rng(0).normal(size=(2, 2, 2, 1)).astype(np.float32)
    assert classifier.is_multi_label
    scores = classifier.scores_of_copies(np.array([0, 1]), 1, lambda owners, _: images[owners], 5)
    # The logit of the second class is 0.
    first = 1 / (1 + np.exp(-(images[0, ..., 0] * weights).sum()))
    np.testing.assert_allclose(scores, [[first], [0.5]], atol=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("activation", [None, "softmax"])
def test_logits_do_not_depend_on_softmax_or_precision(build_linear, policy, activation):
    keras.config.set_dtype_policy(policy)
    weights = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    images = np.random.default_rng(1).normal(size=(4, 3, 3, 1)).astype(np.float32)
    logits = CompiledClassifier(build_linear(weights, activation)).logits(images, 3)
    expected = (images[..., 0] * weights).sum(axis=(1, 2))
    np.testing.assert_allclose(logits, np.stack([expected, 0 * expected], 1), atol=1e-5)


def test_of_keeps_what_is_compiled_already(build_linear):
    classifier = CompiledClassifier(build_linear(np.ones((2, 2))))
    assert CompiledClassifier.of(classifier) is classifier
    assert classifier.num_classes == 2


def test_predicted_classes_stand_in_for_none(build_cnn, images):
    model = build_cnn()
    classifier = CompiledClassifier(model)
    batch = classifier.checked_images(images.astype(np.uint8))
    predicted = model.predict(images, verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(classifier.checked_class_ids(None, batch, 2), predicted)
    np.testing.assert_array_equal(classifier.checked_class_ids(2, batch, 2), [2] * 5)
    assert len(set(softmax(classifier.logits(batch, 2), axis=1).argmax(axis=1))) >= 1


@pytest.mark.parametrize("class_ids", [[0, 1], [0.0, 1.0, 2.0], [0, 1, 3], [-1, 0, 1], [[0, 1, 2]]])
def test_class_ids_that_are_none_are_refused(class_ids):
    with pytest.raises(ValueError, match="`class_ids` must be"):
        checked_class_ids(class_ids, 3, 3)


def test_wrong_arguments_are_refused(build_cnn, images):
    classifier = CompiledClassifier(build_cnn())
    for wrong in (images[0], images[:0], images[:, :6], images[..., :1]):
        with pytest.raises(ValueError, match="batch of at least one image"):
            classifier.checked_images(wrong)
    with pytest.raises(ValueError, match="`batch_size` must be >= 1"):
        classifier.logits(images, 0)
    with pytest.raises(ValueError, match="`output` must be one of"):
        classifier.scores_of_copies(np.zeros(5, int), 1, lambda o, w: images[o], 2, "loss")


def test_values_that_are_not_finite_are_reported(build_linear):
    model = build_linear([[np.nan, 0.0]])
    with pytest.raises(FloatingPointError, match="2 of 2 logits are not finite"):
        CompiledClassifier(model).logits(np.ones((2, 1, 2, 1), np.float32), 2)
