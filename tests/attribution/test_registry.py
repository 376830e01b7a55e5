"""Methods by name."""

import pytest

from proxy_keras import attribution
from proxy_keras.attribution.faster_score_cam import FasterScoreCAM
from proxy_keras.attribution.registry import make

EVERY = """
cam grad_cam grad_cam_plus_plus hires_cam layer_cam eigen_cam eigen_grad_cam score_cam
faster_score_cam layer_score_cam ablation_cam saliency deconvnet guided_backprop guided_grad_cam
smooth_grad smooth_grad_squared var_grad integrated_gradients conductance deep_lift gradient_shap
kernel_shap lime sp_lime rise occlusion lrp deep_fool attention_rollout spectral_residual
graph_based whitening dynamic
"""


def test_every_method_has_its_name():
    assert sorted(attribution.names()) == sorted(EVERY.split())
    assert attribution.get("faster_score_cam") is FasterScoreCAM


def test_unknown_method_lists_the_known_ones():
    with pytest.raises(ValueError, match="'gradcam'. Known: cam, grad_cam, grad_cam_plus_plus"):
        attribution.get("gradcam")


def test_options_reach_the_method():
    method = make("faster_score_cam", {"channels": 3, "chunk_size": 7})
    assert (method.channels, method.chunk_size) == (3, 7)


def test_unknown_option_lists_the_known_ones():
    with pytest.raises(ValueError, match="no option chanels. Its options: channels, chunk_size"):
        make("faster_score_cam", {"chanels": 3})
    with pytest.raises(ValueError, match="Its options: none"):
        make("grad_cam", {"channels": 3})
