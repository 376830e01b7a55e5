"""Small splits in memory and attribution methods with known heatmaps."""

import numpy as np
import pytest
import tensorflow as tf

from proxy_keras.attribution.catalogue import METHODS, Entry
from proxy_keras.attribution.method import Method
from proxy_keras.data.data_split import DataSplit
from proxy_keras.data.readers import ArrayReader


class Bright(Method):
    """Highlights bright pixels, whatever the model has learned."""

    needs_layer = False
    has_image_size = True

    def __call__(self, network, images, target):
        return network.logits(images), tf.reduce_mean(images, axis=-1)


class Dark(Bright):
    """Highlights dark pixels."""

    def __call__(self, network, images, target):
        logits, heat = super().__call__(network, images, target)
        return logits, 255.0 - heat


class Coarse(Bright):
    """Highlights bright pixels in cells of 4 x 4 pixels."""

    def __call__(self, network, images, target):
        logits, heat = super().__call__(network, images, target)
        return logits, tf.nn.avg_pool2d(heat[..., None], 4, 4, "VALID")[..., 0]


@pytest.fixture
def known_methods(monkeypatch):
    """Register the methods "bright", "dark" and "coarse" for a test."""
    monkeypatch.setitem(METHODS, "bright", Entry(f"{__name__}:Bright"))
    monkeypatch.setitem(METHODS, "dark", Entry(f"{__name__}:Dark"))
    monkeypatch.setitem(METHODS, "coarse", Entry(f"{__name__}:Coarse"))


@pytest.fixture
def build_split():
    """Return a function that builds a split of images [n, P, P, 3] uint8 and labels [n]."""

    def build(images, labels, boxes=None):
        ids = [f"id{number}" for number in range(len(images))]
        return DataSplit(
            ArrayReader(images, images.shape[1]),
            np.arange(len(images)),
            labels,
            ids,
            name="test",
            seed=0,
            classes=[str(number) for number in range(max(labels) + 1)],
            boxes=None if boxes is None else dict(zip(ids, boxes, strict=True)),
        )

    return build
