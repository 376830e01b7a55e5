"""Gradients through the layers that only networks of `keras.applications` have."""

import numpy as np
from keras.src.applications.convnext import LayerScale, StochasticDepth
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

RNG = np.random.default_rng(0)
A, B = (RNG.normal(size=(2, 3, 3, 4)).astype(np.float32) for _ in range(2))


def test_layer_scale(check_rule, randomise):
    layer = LayerScale(1e-6, 4)
    layer.build(A.shape)
    check_rule(randomise(layer), A)


def test_stochastic_depth_does_nothing_in_inference(check_rule):
    upstream = np.ones_like(A)
    (gradient,) = check_rule(StochasticDepth(0.5), A, upstream=upstream)
    np.testing.assert_array_equal(gradient, upstream)


def test_scaled_residual(check_rule):
    gradients = check_rule(CustomScaleLayer(0.25), [A, B], upstream=np.ones_like(A))
    assert [float(gradient.mean()) for gradient in gradients] == [1.0, 0.25]
