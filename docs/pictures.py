"""The pictures of methods and cues in this documentation, drawn by `make pictures`.

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

from proxy_keras import ImageData, attribution, augment, find_cues
from proxy_keras.augment.attenuation import Donors, hot_pixels, paste
from proxy_keras.augment.dataset_statistics import mean_colour
from proxy_keras.explaining import augmentation_gallery
from proxy_keras.heatmaps.scaling import enlarge
from proxy_keras.io import figures
from proxy_keras.objects.object_masks import of_data
from proxy_keras.proxy.cue_step import MASK_THRESHOLD

IMAGES = Path(__file__).parent / "images"
EPOCHS = 15
SHOWN = 6
AUGMENTED = 3
"""Few enough that the shares under them are legible on a phone."""

DRAWN_BY = 4
"""Seed of their draws: one that gives all three images another image as partner."""

DOTS_PER_INCH = 150
SIDE, GAP = 64, 4

PROXIES_SHOWN = 8
"""Images in the picture of proxies of cues: the first of the digits 0 to 7 that shows a cue."""

PROXY_BATCH = 400
"""Training images among which they are looked for."""

TICKED_OUTSIDE = 0.35
DARKENED = 0.35
CUES_FILE = "cue_proxies.png"

COLOURS = 64
"""Colours of a picture: few, for small files, but enough not to be visible."""

CUE_COLOURS = 256
"""Colours of the picture of cues, in which small squares must keep theirs."""

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


def save_cues(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write the picture as a PNG with colours that are rare in it, too."""
    rare = Image.Quantize.MAXCOVERAGE
    few = Image.fromarray(pixels).quantize(CUE_COLOURS, rare, kmeans=1, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def draw_methods(data: ImageData, network: keras.Model) -> None:
    """Draw a strip of heatmaps over the same images for each attribution method."""
    second = trained(transformer, data)
    images = answered(data, [network, second])
    large = zoomed(images)
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


def draw_cues(data: ImageData, network: keras.Model) -> None:
    """Draw training images, the cues in them that are ticked, and proxies that spread or hide them.

    Cues are ticked by the objects of a tenth of the training images. Each image gets the cue of the
    one to its right; in training, donors are drawn.
    """
    tenth = np.arange(0, len(data.train), 10)
    cues = find_cues(network, data, objects=of_data(data.train, tenth), verbose=0)
    cues.tick_outside(TICKED_OUTSIDE)
    print(f"ticked: {', '.join(cues.ticked)}: {cues.ticked_evidence:.0%} of the evidence")
    _, images, labels = next(data.train.originals(PROXY_BATCH).as_numpy_iterator())
    masks = cues.masks(images)
    has_cue = masks.any(axis=(1, 2))
    chosen = [np.flatnonzero(has_cue & (labels == digit))[0] for digit in range(PROXIES_SHOWN)]
    images, masks = images[chosen], masks[chosen].astype(np.float32)

    enlarged = enlarge(tf.constant(masks), images.shape[1:3])
    is_hot = hot_pixels(enlarged, MASK_THRESHOLD).numpy()
    hidden = augment.attenuate(
        images,
        enlarged,
        threshold=MASK_THRESHOLD,
        replacement="mean_of_data",
        peak=255.0,
        colour=mean_colour(data.train),
    )
    spread = paste(hidden, Donors(np.roll(images, -1, axis=0), np.roll(is_hot, -1, axis=0)))
    rows = [images, darkened(images, is_hot), spread.numpy(), hidden.numpy()]
    strips = [strip(zoomed(pictures)) for pictures in rows]
    gap = np.full([GAP, *strips[0].shape[1:]], 255, np.uint8)
    rows_apart = [part for row in strips for part in (row, gap)][:-1]
    save_cues(np.concatenate(rows_apart), IMAGES / CUES_FILE)


def darkened(images: NDArray[np.float32], masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return images that are darkened outside their masks [B, H, W] bool."""
    return np.where(masks[..., np.newaxis], images, images * DARKENED)


def zoomed(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return images of `SIDE` pixels."""
    times = SIDE // IMAGE_SIZE
    return images.repeat(times, axis=1).repeat(times, axis=2).round().astype(np.uint8)


def main() -> None:
    """Train the networks and write all pictures."""
    tf.config.experimental.enable_op_determinism()
    data = ImageData.from_source("decoy_digits", image_size=IMAGE_SIZE, seed=0, progress=False)
    network = trained(resnet, data)
    draw_augmentations(data, network)
    draw_methods(data, network)
    draw_cues(data, network)


if __name__ == "__main__":
    main()
