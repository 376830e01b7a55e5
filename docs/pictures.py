"""The pictures of the methods in this documentation, drawn by `make pictures`.

They show bundled digits in clutter, explained with two small networks that are trained here.
Everything is seeded. This takes about ten minutes on two cores.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from _digit_networks import BATCH, IMAGE_SIZE, compiled, resnet, transformer
from numpy.typing import NDArray
from PIL import Image

from proxy_keras import ImageData, attribution, augment
from proxy_keras.explaining import augmentation_gallery
from proxy_keras.heatmaps.scaling import enlarge
from proxy_keras.io import figures

IMAGES = Path(__file__).parent / "images"
EPOCHS = 15
SHOWN = 6
AUGMENTED = 3
"""Few enough that the shares under them are legible on a phone."""

DRAWN_BY = 4
"""Seed of their draws: one that gives all three images another image as partner."""

DOTS_PER_INCH = 150
SIDE, GAP = 64, 4
COLOURS = 64
"""Colours of a picture: few, for small files, but enough not to be visible."""

OF_TRANSFORMERS = ("attention_rollout",)
OPTIONS: dict[str, dict[str, Any]] = {
    "lime": {"samples": 3000},
    "kernel_shap": {"samples": 3000},
    # With its default of 0.2, the second image is hardly visible in most pictures.
    "mixup": {"alpha": 1.0},
}


def trained(build: Any, data: ImageData) -> keras.Model:
    """Return the network, trained plainly."""
    model = compiled(build, images=len(data.train), epochs=EPOCHS)
    model.fit(data.train.batches(BATCH), epochs=EPOCHS, verbose=0, shuffle=False)
    accuracy = model.evaluate(data.test.batches(BATCH), verbose=0)[1]
    print(f"{model.name}: {accuracy:.1%} test accuracy")
    return model


def answered(data: ImageData, models: list[keras.Model]) -> NDArray[np.float32]:
    """Return test images [SHOWN, P, P, 3], one per class, that all networks classify correctly."""
    parts = [(images.numpy(), labels.numpy()) for images, labels in data.test.batches(BATCH)]
    images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    is_right = np.ones(len(labels), bool)
    for model in models:
        is_right &= model.predict(images, verbose=0).argmax(axis=1) == labels
    return np.stack([images[(labels == digit) & is_right][0] for digit in range(SHOWN)])


def strip(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the pictures [n, H, W, 3] side by side, with white between them."""
    padded = np.pad(pictures, ((0, 0), (0, 0), (0, GAP), (0, 0)), constant_values=255)
    return np.concatenate(list(padded), axis=1)[:, :-GAP]


def save(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write the picture as a PNG with few colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    few = Image.fromarray(pixels).quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def draw_methods(data: ImageData, network: keras.Model) -> None:
    """Draw a strip of heatmaps over the same images for each attribution method."""
    second = trained(transformer, data)
    images = answered(data, [network, second])
    large = images.repeat(SIDE // IMAGE_SIZE, axis=1).repeat(SIDE // IMAGE_SIZE, axis=2)
    large = large.round().astype(np.uint8)
    save(strip(large), IMAGES / "methods" / "images.png")
    for name in attribution.names():
        model = second if name in OF_TRANSFORMERS else network
        heatmaps = attribution.explain(model, images, name, **OPTIONS.get(name, {}))
        heatmaps = enlarge(heatmaps, (SIDE, SIDE)).numpy()
        pictures = [figures.overlay(*pair) for pair in zip(large, heatmaps, strict=True)]
        save(strip(np.stack(pictures)), IMAGES / "methods" / f"{name}.png")


def draw_augmentations(data: ImageData, network: keras.Model) -> None:
    """Draw a strip of changed images with the shares of their labels for each augmentation."""
    images, labels = augmentation_gallery.first_images(data.train, AUGMENTED)
    heatmaps = attribution.explain(network, images, "grad_cam")
    rows = {"images": {"": (images, labels)}}
    for name in augment.names():
        if name == "curriculum":
            layer = augment.get(name, of="grid_mask", epochs=10)
            epochs = {f"epoch {epoch}": epoch for epoch in (0, 5, 10)}
        else:
            layer, epochs = augment.get(name, probability=1.0, **OPTIONS.get(name, {})), {"": 0}
        augment.adapt([layer], data.train)
        rows[name] = {
            title: augmentation_gallery.augmented(layer, images, labels, heatmaps, DRAWN_BY, epoch)
            for title, epoch in epochs.items()
        }
    for name, titled in rows.items():
        sheet = augmentation_gallery.draw_sheet(titled, data.classes)
        sheet.set_dpi(DOTS_PER_INCH)
        save(figures.to_array(sheet), IMAGES / "augmentations" / f"{name}.png")


def main() -> None:
    """Train the networks and write all pictures."""
    tf.config.experimental.enable_op_determinism()
    data = ImageData.from_source("decoy_digits", image_size=IMAGE_SIZE, seed=0, progress=False)
    network = trained(resnet, data)
    draw_augmentations(data, network)
    draw_methods(data, network)


if __name__ == "__main__":
    main()
