"""Tokens arranged as a grid over the image."""

import keras
import numpy as np
import pytest
from keras import layers

from proxy_keras.attribution.token_grid import expose_grid, grid_shape
from proxy_keras.graph import FlatClone


@pytest.mark.parametrize(
    ("tokens", "size", "expected"),
    [
        (196, (224, 224), (14, 14)),
        (197, (224, 224), (14, 14)),
        (198, (224, 224), (14, 14)),
        (201, (224, 224), (14, 14)),
        (17, (32, 32), (4, 4)),
        (33, (32, 64), (4, 8)),
        (33, (64, 32), (8, 4)),
        (1, (32, 32), None),
        (210, (224, 224), None),
        (None, (32, 32), None),
        (17, (None, None), None),
    ],
)
def test_grid_has_the_proportions_of_the_image(tokens, size, expected):
    assert grid_shape(tokens, (None, *size, 3)) == expected


@pytest.mark.parametrize("prefix", [0, 1, 2])
def test_grid_is_in_reading_order_and_the_graph_is_rewired_through_it(prefix):
    image = keras.Input((4, 6, 2))
    x = layers.Reshape((24, 2))(image)
    first = layers.Lambda(lambda t: t[:, :prefix] * 0 - 1)(x) if prefix else None
    tokens = layers.Concatenate(axis=1, name="tokens")([first, x]) if prefix else x
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(tokens)))
    flat = FlatClone(model)
    images = np.random.default_rng(0).normal(size=(2, 4, 6, 2)).astype(np.float32)
    target = flat.tensor("tokens" if prefix else flat.names[0])
    grid = expose_grid(flat, target, (4, 6), "grid")
    assert flat.tensor("grid") is grid
    features, head = flat.split(grid)
    cut = features(images)
    cut = cut if isinstance(cut, list) else [cut]
    np.testing.assert_array_equal(cut[0], images)
    np.testing.assert_allclose(head(cut), model(images), atol=1e-5)
