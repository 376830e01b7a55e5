"""The explainer of given classes: batches, shared use, and what it refuses."""

import numpy as np
import pytest

from proxy_keras.attribution import explain
from proxy_keras.metrics import ClassExplainer


def test_given_classes_are_explained_in_batches(build_cnn, images):
    model = build_cnn()
    explainer = ClassExplainer(model, "grad_cam", {"smooth": 1.0}, batch_size=2)
    ids = np.array([0, 1, 2, 0, 1])
    expected = explain(model, images, "grad_cam", class_ids=ids, smooth=1.0)
    np.testing.assert_allclose(explainer.heatmaps(images, ids), expected, atol=1e-5)
    logits, heat = explainer.logits_and_heatmaps(images, ids)
    np.testing.assert_allclose(logits, model.predict(images, verbose=0), atol=1e-4)
    np.testing.assert_array_equal(heat, explainer.heatmaps(images, ids))
    np.testing.assert_array_equal(explainer.class_ids(images, None), logits.argmax(axis=1))
    np.testing.assert_array_equal(explainer.class_ids(images, 2), [2] * 5)


def test_of_shares_an_explainer_and_makes_one_of_a_name(build_cnn):
    model = build_cnn()
    explainer = ClassExplainer(model, "grad_cam")
    assert ClassExplainer.of(model, explainer, None, 32) is explainer
    made = ClassExplainer.of(model, "layer_cam", {"target_layer": "conv1"}, 32)
    assert made.explainer.target_layer == "conv1"
    other = made.of_other(build_cnn(1))
    assert (other.explainer.method, other.explainer.target_layer) == ("layer_cam", "conv1")
    assert made.of_other(model, target_layer="conv2").explainer.target_layer == "conv2"


def test_an_explainer_of_another_model_or_with_options_is_refused(build_cnn, images):
    model = build_cnn()
    explainer = ClassExplainer(model, "grad_cam")
    with pytest.raises(ValueError, match="must explain the given model"):
        ClassExplainer.of(build_cnn(), explainer, None, 32)
    with pytest.raises(ValueError, match="takes no further options"):
        ClassExplainer.of(model, explainer, {"smooth": 1.0}, 32)
    with pytest.raises(ValueError, match="At least one image"):
        explainer.class_ids(images[:0], None)
    with pytest.raises(ValueError, match="`class_ids` must be"):
        explainer.class_ids(images, 3)
    with pytest.raises(ValueError, match="`batch_size` must be >= 1"):
        ClassExplainer(model, "grad_cam", batch_size=0)
