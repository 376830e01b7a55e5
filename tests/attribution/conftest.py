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
    """A function that builds a CNN for 16 px images; `strides` of its last convolution."""

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
    """A function that builds keras_hub's ViT for 32 px images, with two blocks."""

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
