"""Methods by name."""

import pytest

from proxy_keras import attribution
from proxy_keras.attribution.faster_score_cam import FasterScoreCAM
from proxy_keras.attribution.registry import make


def test_the_five_methods_are_registered():
    assert attribution.names() == [
        "grad_cam",
        "grad_cam_plus_plus",
        "layer_cam",
        "score_cam",
        "faster_score_cam",
    ]
    assert attribution.get("faster_score_cam") is FasterScoreCAM


def test_unknown_method_lists_the_known_ones():
    with pytest.raises(ValueError, match="'gradcam'. Known: grad_cam, grad_cam_plus_plus"):
        attribution.get("gradcam")


def test_options_reach_the_method():
    method = make("faster_score_cam", {"channels": 3, "chunk_size": 7})
    assert (method.channels, method.chunk_size) == (3, 7)


def test_unknown_option_lists_the_known_ones():
    with pytest.raises(ValueError, match="no option chanels. Its options: channels, chunk_size"):
        make("faster_score_cam", {"chanels": 3})
    with pytest.raises(ValueError, match="Its options: none"):
        make("grad_cam", {"channels": 3})
