"""Networks small enough to compute by hand, and methods whose heatmaps are known."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from proxy_keras.attribution.catalogue import METHODS, Entry
from proxy_keras.attribution.method import Method


class Brightness(Method):
    """Shows the image itself, whatever the network has learned."""

    needs_layer = False
    has_image_size = True

    def __call__(self, network, images, target):
        return network.logits(images), tf.reduce_mean(images, axis=-1)


class FromGrey(Method):
    """Shows how far a pixel is from 128: a comparison with a fixed baseline."""

    needs_layer = False
    has_image_size = True

    def __call__(self, network, images, target):
        return network.logits(images), tf.reduce_mean(tf.abs(images - 128.0), axis=-1)


class Blank(Method):
    """Shows nothing."""

    needs_layer = False
    has_image_size = True

    def __call__(self, network, images, target):
        return network.logits(images), tf.zeros_like(images[..., 0])


@pytest.fixture(autouse=True)
def known_methods(monkeypatch):
    """Methods for these tests only: "brightness", "from_grey", "blank"."""
    monkeypatch.setitem(METHODS, "brightness", Entry(f"{__name__}:Brightness"))
    monkeypatch.setitem(METHODS, "from_grey", Entry(f"{__name__}:FromGrey"))
    monkeypatch.setitem(METHODS, "blank", Entry(f"{__name__}:Blank"))


@pytest.fixture
def build_linear():
    """A function that builds logits [w x, 0] of one-channel images, of weights w [H, W]."""

    def build(weights, activation=None):
        weights = np.asarray(weights, np.float32)
        image = keras.Input((*weights.shape, 1))
        x = layers.Flatten()(image)
        logits = layers.Dense(2, use_bias=False, name="logits")(x)
        outputs = logits if activation is None else layers.Activation(activation)(logits)
        model = keras.Model(image, outputs)
        kernel = np.stack([weights.ravel(), np.zeros(weights.size)], axis=1)
        model.get_layer("logits").set_weights([kernel])
        return model

    return build


@pytest.fixture
def build_cnn():
    """A function that builds a CNN for 12 px images, three classes, with batch normalisation."""

    def build(seed=0):
        keras.utils.set_random_seed(seed)
        image = keras.Input((12, 12, 3))
        x = layers.Rescaling(1 / 64)(image)
        x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv1")(x)
        x = layers.BatchNormalization(name="bn1")(x)
        x = layers.ReLU()(x)
        x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="conv2")(x)
        x = layers.GlobalAveragePooling2D()(x)
        model = keras.Model(image, layers.Dense(3, name="top")(x), name="cnn")
        rng = np.random.default_rng(seed)
        for variable in model.weights:
            if len(variable.shape) == 1:
                variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        return model

    return build


@pytest.fixture
def images():
    """[5, 12, 12, 3] float32, whole numbers from 0 to 200."""
    return np.random.default_rng(1).integers(0, 201, (5, 12, 12, 3)).astype(np.float32)
