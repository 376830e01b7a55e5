"""Settings of Keras that cannot be used are named where they matter, with the way out."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from proxy_keras import build_model, explain
from proxy_keras.io.extras import MissingExtra, WrongBackend, extra
from proxy_keras.io.keras_settings import require_tensorflow
from proxy_keras.metrics import CompiledClassifier
from proxy_keras.models import names

BACKEND = """
import sys, keras
keras.backend.backend = lambda: "jax"
import proxy_keras
try:
    getattr(proxy_keras, sys.argv[1])
except ImportError as error:
    print(error)
"""


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("name", names())
def test_built_in_networks_name_channels_first(name, channels_first):
    with pytest.raises(ValueError, match="Received: .*'channels_first'. Call keras.config.set_im"):
        build_model(name, num_classes=3, image_size=224)


def test_explanations_and_metrics_name_channels_first(request):
    model = build_model("small_cnn", num_classes=3, image_size=16)
    images = np.zeros((2, 16, 16, 3), np.float32)
    request.getfixturevalue("channels_first")
    for use in (lambda: explain(model, images, "saliency"), lambda: CompiledClassifier(model)):
        with pytest.raises(ValueError, match="Received: .*'channels_first'"):
            use()


def test_layers_that_are_channels_first_are_named():
    image = keras.Input((16, 16, 3))
    x = keras.layers.Permute((3, 1, 2))(image)
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_first", name="odd")(x)
    model = keras.Model(image, keras.layers.Dense(3)(x))
    for method in ("saliency", "grad_cam"):
        with pytest.raises(ValueError, match="Layer 'odd' .*data_format='channels_last'"):
            explain(model, np.zeros((1, 16, 16, 3), np.float32), method)


@pytest.mark.parametrize("name", ["ProxyAttention", "explain", "find_cues"])
def test_another_backend_is_named_at_import(commands, name) -> None:
    done = commands.run("-c", BACKEND, name)
    expected = "Received: the backend 'jax'. Set the environment variable KERAS_BACKEND=tensorflow"
    assert expected in done.stdout, done.stderr


def test_tensorflow_is_the_backend(monkeypatch):
    require_tensorflow()
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(WrongBackend, match="Received: the backend 'torch'"):
        require_tensorflow()


def test_a_backend_that_is_not_installed_needs_no_extra():
    with (
        pytest.raises(MissingExtra, match="the backend 'jax'.*KERAS_BACKEND=tensorflow"),
        extra("explain"),
    ):
        raise ModuleNotFoundError("No module named 'jax'", name="jax")
