"""Guided Grad-CAM is the product of its two parts."""

import numpy as np
import tensorflow as tf

from proxy_keras.attribution import Explainer
from proxy_keras.heatmaps import scaling


def raw(model, method, images):
    """Return the method's heatmaps before scaling to [0, 1]."""
    return Explainer(model, method)._traced_heatmaps(tf.constant(images), tf.zeros(7, tf.int32))[1]


def test_is_guided_backprop_times_enlarged_grad_cam(build_cnn, images):
    model = build_cnn()
    coarse = scaling.enlarge(raw(model, "grad_cam", images), (16, 16))
    expected = scaling.normalise(raw(model, "guided_backprop", images) * coarse)
    explainer = Explainer(model, "guided_grad_cam")
    assert explainer.map_shape == (16, 16)
    assert explainer.target_layer == "relu"
    np.testing.assert_allclose(explainer.heatmaps(images), expected, atol=1e-5)
