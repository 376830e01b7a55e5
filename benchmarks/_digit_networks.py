"""Two small networks for digits in clutter, and their training recipe."""

from __future__ import annotations

from collections.abc import Callable

import keras

from proxy_keras import build_model

IMAGE_SIZE = 32
BATCH = 32


def resnet() -> keras.Model:
    """Return a ResNet-20."""
    return build_model("resnet20", num_classes=10, image_size=IMAGE_SIZE)


def transformer() -> keras.Model:
    """Return a small vision transformer, for methods that use attention.

    Its tokens come from convolutions; with plain patches it would memorise so few images.
    """
    image = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3))
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    for filters, strides in ((16, 1), (32, 2), (48, 2)):
        x = keras.layers.Conv2D(filters, 3, strides, "same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    tokens = (IMAGE_SIZE // 4) ** 2
    x = keras.layers.Reshape((tokens, 48))(x)
    places = keras.layers.Embedding(tokens, 48)(keras.ops.arange(tokens)[None])
    x = x + places
    for _ in range(3):
        y = keras.layers.LayerNormalization()(x)
        x = x + keras.layers.MultiHeadAttention(4, 12)(y, y)
        y = keras.layers.Dense(96, activation="gelu")(keras.layers.LayerNormalization()(x))
        x = x + keras.layers.Dense(48)(y)
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.LayerNormalization()(x))
    return keras.Model(image, keras.layers.Dense(10)(x))


def compiled(build: Callable[[], keras.Model], *, images: int, epochs: int) -> keras.Model:
    """Return the network with seeded weights, compiled for this number of images and epochs."""
    keras.utils.set_random_seed(0)
    model = build()
    steps = epochs * -(-images // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=3e-3, warmup_steps=steps // 5
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model
