"""The images that `fit` reads after a proxy step before the first epoch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras import ImageData, ProxyAttention


def shown_after_step(
    data: ImageData, cues: str, **settings: Any
) -> tuple[ProxyAttention, NDArray[np.float32]]:
    """Return the callback and all images, as proxies where they have one, by position."""
    side = data.image_size
    image = keras.Input((side, side, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(image))
    model = keras.Model(image, keras.layers.Dense(2)(pooled))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    proxy = ProxyAttention(data.train, "start", cues=cues, show=1.0, verbose=0, **settings)
    model.fit(data.train.batches(64), epochs=1, verbose=0, shuffle=False, callbacks=[proxy])
    order = np.random.default_rng([data.seed, 0]).permutation(len(data.train))
    images = np.empty((len(data.train), side, side, 3), np.float32)
    data.train.clock.begin(0)
    images[order] = next(iter(data.train.batches(64)))[0].numpy()
    return proxy, images
