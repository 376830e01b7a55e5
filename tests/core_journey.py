"""Uses the library as its core dependencies allow; test_core_only.py runs it without any extra.

Its folder holds vit.keras, a model with layers of KerasHub. Prints one JSON object: what it did,
and the messages of what needs an extra.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

import proxy_keras
from proxy_keras import attribution
from proxy_keras.io.extras import MissingExtra
from proxy_keras.io.saved_model import open_saved

# Rollout needs a transformer.
NOT_FOR_CNNS = {"attention_rollout"}
CLASSES = ["dark", "bright"]


def made_up() -> tuple[np.ndarray, np.ndarray]:
    """Return images [40, 16, 16, 3] uint8, dark or bright, and their class ids."""
    random = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = random.integers(0, 128, [40, 16, 16, 3]) + 127 * labels[:, None, None, None]
    return images.astype(np.uint8), labels


def trained(data: proxy_keras.ImageData) -> tuple[keras.Model, proxy_keras.ProxyAttention]:
    """Train for two epochs, the second on proxies of all training images."""
    model = proxy_keras.build_model("small_cnn", num_classes=2, image_size=16)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    proxy = proxy_keras.ProxyAttention(data.train, schedule="p,1", select="all", verbose=0)
    batches, val = data.train.batches(16), data.val.batches(16)
    model.fit(batches, validation_data=val, epochs=2, callbacks=[proxy], verbose=0)
    return model, proxy


def from_folder(folder: Path, images: np.ndarray, labels: np.ndarray) -> proxy_keras.ImageData:
    """Write the images as one folder per class, and read them."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        file = folder / CLASSES[label] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(file)
    return proxy_keras.ImageData.from_folder(folder, image_size=16)


def missing(use: Callable[[], Any]) -> str | None:
    """Return the message with which something asks for an extra; None if it works."""
    try:
        use()
    except MissingExtra as error:
        return str(error)
    return None


def main(folder: Path) -> dict[str, Any]:
    """Use everything once."""
    images, labels = made_up()
    data = proxy_keras.ImageData.from_arrays(images, labels, classes=CLASSES)
    model, proxy = trained(data)
    model.save(folder / "model.keras")
    opened = keras.saving.load_model(folder / "model.keras")
    logits = [one.predict(images, verbose=0) for one in (model, opened)]
    pairs = tf.data.Dataset.from_tensor_slices((images, labels))
    sources = {
        "folder": from_folder(folder / "images", images, labels),
        "dataset": proxy_keras.ImageData.from_dataset(pairs, image_size=16, classes=CLASSES),
    }
    shapes, needs = {}, {}
    for name in sorted(set(attribution.names()) - NOT_FOR_CNNS):

        def explain(method: str = name) -> None:
            shapes[method] = proxy_keras.explain(opened, images[:2], method).shape

        if message := missing(explain):
            needs[name] = message
    needs |= {
        "sheets": missing(lambda: proxy_keras.ProxyAttention(data.train, sheet_dir=folder)),
        "events": missing(lambda: proxy_keras.ProxyAttention(data.train, log_dir=folder)),
        "vit": missing(lambda: open_saved(folder / "vit.keras")),
        "digits": missing(lambda: proxy_keras.ImageData.from_source("digits")),
        "tfds": missing(lambda: proxy_keras.ImageData.from_source("tfds:cifar100")),
        "reference": missing(
            lambda: proxy_keras.explain(opened, images[:2], "grad_cam", engine="tf-keras-vis")
        ),
    }
    return {
        "made": proxy.steps[0].made,
        "training images": len(data.train),
        "same logits": bool(np.array_equal(*logits)),
        "images read": {
            name: sum(map(len, (source.train, source.val, source.test)))
            for name, source in sources.items()
        },
        "explained": shapes,
        "needs": needs,
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
