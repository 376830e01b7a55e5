"""Methods by name."""

import inspect
import subprocess
import sys

import pytest

from proxy_keras import attribution
from proxy_keras.attribution.catalogue import METHODS, make_options
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


@pytest.mark.parametrize("name", attribution.names())
def test_constructor_takes_the_options_of_the_catalogue(name):
    method, options = attribution.get(name), METHODS[name].options
    assert list(inspect.signature(method).parameters) == options.names()
    made = make(name, {})
    for option, value in vars(options()).items():
        assert getattr(made, option) == value


def test_catalogue_checks_options_without_importing_tensorflow():
    code = """
import sys
from proxy_keras.attribution import names
from proxy_keras.attribution.catalogue import find, make_options
assert make_options("lime", {"samples": 7}).samples == 7
try:
    make_options("rise", {"masks": 1})
except ValueError as error:
    print(error)
print(*names(), *find("rise").options.names())
sys.exit(any(name in sys.modules for name in ("tensorflow", "keras")))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    error, printed = run.stdout.splitlines()
    assert error == "`masks` must be >= 2. Received: 1"
    assert printed.split() == attribution.names() + METHODS["rise"].options.names()


def test_sp_lime_always_uses_a_grid():
    assert make("sp_lime", {}).segmentation == "grid"
    with pytest.raises(ValueError, match="no option segmentation"):
        make_options("sp_lime", {"segmentation": "slic"})


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
