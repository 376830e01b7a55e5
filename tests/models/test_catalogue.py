"""The catalogue: every name is a network's module, and no framework is loaded for the names."""

import importlib
import inspect
import subprocess
import sys

import pytest

from proxy_keras import models
from proxy_keras.models.catalogue import HAS_IMAGENET_WEIGHTS


def test_names_are_available_without_tensorflow_and_keras() -> None:
    code = (
        "import sys, proxy_keras.models.catalogue\n"
        "from proxy_keras import models\n"
        "print(*models.names())\n"
        "print({'tensorflow', 'keras', 'keras_hub', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [" ".join(sorted(HAS_IMAGENET_WEIGHTS)), "set()"]


@pytest.mark.parametrize("name", models.names())
def test_a_network_takes_pretrained_where_it_has_imagenet_weights(name: str) -> None:
    network = importlib.import_module(f"proxy_keras.models.{name}")
    parameters = inspect.signature(network.features).parameters
    assert ("pretrained" in parameters) == HAS_IMAGENET_WEIGHTS[name]


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    assert all(hasattr(models, name) for name in models.__all__)
    with pytest.raises(AttributeError, match=r"proxy_keras\.models.*'nothing'"):
        _ = models.nothing
