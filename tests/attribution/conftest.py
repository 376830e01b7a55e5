"""Small seeded networks and images for the attribution tests."""

import keras
import numpy as np
import pytest
from keras import layers


@pytest.fixture
def images():
    """[7, 16, 16, 3] float32 in [0, 255]: smooth blobs on noise, so that classes differ."""
    rng = np.random.default_rng(0)
    result = rng.uniform(0, 60, (7, 16, 16, 3))
    for i, (row, column) in enumerate(rng.integers(0, 10, (7, 2))):
        result[i, row : row + 6, column : column + 6] += rng.uniform(60, 190, 3)
    return result.astype(np.float32)


@pytest.fixture
def build_cnn():
    """Return a function that builds a CNN for 16 px images."""

    def build(strides=2, classes=4, activation=None):
        image = keras.Input((16, 16, 3))
        x = layers.Rescaling(1 / 64)(image)
        x = layers.Conv2D(8, 3, padding="same", activation="relu", name="conv1")(x)
        x = layers.Conv2D(12, 3, strides=strides, padding="same", name="conv2")(x)
        x = layers.BatchNormalization(name="bn")(x)
        x = layers.ReLU(name="relu")(x)
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dropout(0.5)(x)
        return keras.Model(image, layers.Dense(classes, activation=activation, name="top")(x))

    return build


@pytest.fixture
def build_vit():
    """Return a function that builds keras_hub's ViT for 32 px images, with two blocks."""

    def build(height=32, width=32, pooling="token"):
        from keras_hub.models import ViTBackbone, ViTImageClassifier

        backbone = ViTBackbone(
            image_shape=(height, width, 3),
            patch_size=8,
            num_layers=2,
            num_heads=2,
            hidden_dim=16,
            mlp_dim=32,
        )
        return ViTImageClassifier(backbone=backbone, num_classes=4, pooling=pooling)

    return build


@pytest.fixture
def odd_one_out():
    """Return a function that draws 25 jittered items, one of them odd, in a square of 160 px.

    Of `kind` "colour", "orientation" or "size", at `place` (row, column) of 5 x 5.
    """

    def draw(kind, place, seed=0, size=160):
        rng = np.random.default_rng(seed)
        image = np.full((size, size, 3), 110, np.float32)
        step = size / 5
        rows, columns = np.mgrid[:size, :size]
        for row, column in np.ndindex(5, 5):
            is_odd = (row, column) == place
            down, right = (rng.uniform(0.4, 0.6, 2) + (row, column)) * step
            dy, dx = abs(rows - down), abs(columns - right)
            colour = (220, 220, 220)
            if kind == "orientation":
                high, wide = (0.09, 0.3) if is_odd else (0.3, 0.09)
                mask = (dy < high * step) & (dx < wide * step)
            elif kind == "size":
                mask = np.hypot(dy, dx) < (0.42 if is_odd else 0.17) * step
            else:
                mask = np.hypot(dy, dx) < 0.28 * step
                colour = (230, 60, 60) if is_odd else (60, 200, 60)
            image[mask] = colour
        return image

    return draw


@pytest.fixture
def check_image_saliency(odd_one_out):
    """Return a function that checks the common properties of an image-only method, by name."""
    from proxy_keras.attribution import Explainer

    def network(height, width, channels):
        image = keras.Input((height, width, channels))
        pooled = layers.GlobalAveragePooling2D()(image)
        return keras.Model(image, layers.Dense(2, kernel_initializer="ones")(pooled))

    def check(method):
        explainer = Explainer(network(160, 160, 3), method)
        places = [(1, 2), (3, 3), (0, 4), (2, 1), (4, 0), (2, 2)]
        for kind in ("colour", "orientation", "size"):
            images = np.stack([odd_one_out(kind, p, seed=i) for i, p in enumerate(places)])
            logits, heat = explainer.logits_and_heatmaps(images)
            assert heat.shape == (6, 160, 160)
            np.testing.assert_allclose(logits[:, 0], images.mean(axis=(1, 2)).sum(1), rtol=1e-4)
            hottest = [np.unravel_index(one.argmax(), one.shape) for one in heat]
            assert [(row // 32, column // 32) for row, column in hottest] == places, kind
        # The map does not depend on the batch, the range of values, or the class.
        np.testing.assert_allclose(explainer.heatmaps(images[2:3]), heat[2:3], atol=1e-4)
        np.testing.assert_allclose(explainer.heatmaps(images * 1e4 + 7e5), heat, atol=0.02)
        grey = np.stack([np.full((160, 160, 3), v, np.float32) for v in (0, 77.7, 255, 1e6)])
        assert not explainer.heatmaps(grey).any()
        for shape in ((8, 11, 1), (9, 8, 3), (40, 16, 5)):
            explainer = Explainer(network(*shape), method)
            images = np.random.default_rng(0).uniform(0, 255, (2, *shape)).astype(np.float32)
            images[1] = np.mean(images[1])
            heat = explainer.heatmaps(images)
            assert heat.shape == (2, *shape[:2])
            assert np.isfinite(heat).all()
            assert heat[0].max() == 1
            assert not heat[1].any()
        of_any_size = Explainer(network(None, None, 1), method)
        images = odd_one_out("size", (3, 1))[None, :, :, :1]
        for part in (images, images[:, 32:, :128]):
            assert of_any_size.heatmaps(part).shape == part.shape[:3]

    return check
