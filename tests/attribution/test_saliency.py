"""Saliency against tf-keras-vis and a known gradient."""

import keras
import numpy as np
import pytest
from keras import layers

from proxy_keras.attribution import Explainer


@pytest.mark.parametrize("mode", ["predicted", "true", "contrast"])
def test_agrees_with_tf_keras_vis(build_cnn, images, mode):
    model = build_cnn()
    labels = np.arange(7) % 4
    ours = Explainer(model, "saliency", explain=mode)
    theirs = Explainer(model, "saliency", explain=mode, engine="tf-keras-vis")
    assert ours.map_shape == (16, 16)
    heat = ours.heatmaps(images, labels)
    np.testing.assert_allclose(heat, theirs.heatmaps(images, labels), atol=1e-5)
    assert (heat.max(axis=(1, 2)) == 1).all()


def test_of_a_linear_net_is_the_largest_weight_over_channels():
    image = keras.Input((2, 2, 3))
    model = keras.Model(image, layers.Dense(2)(layers.Flatten()(image)))
    kernel = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    model.layers[-1].set_weights([kernel, np.zeros(2)])
    heat = Explainer(model, "saliency", explain=lambda logits: logits[:, 1]).heatmaps(
        np.ones((1, 2, 2, 3))
    )
    expected = np.abs(kernel[:, 1].reshape(2, 2, 3)).max(axis=-1)
    expected = (expected - expected.min()) / (expected.max() - expected.min())
    np.testing.assert_allclose(heat[0], expected, atol=1e-6)


def test_looks_at_no_layer(build_cnn):
    with pytest.raises(ValueError, match="does not use a layer"):
        Explainer(build_cnn(), "saliency", target_layer="relu")
    assert Explainer(build_cnn(), "saliency").target_layer is None
