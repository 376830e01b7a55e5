"""Reading image files, with and without proxies, against Keras' own loader.

python benchmarks/reading.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from _timing import environment, interleaved, table
from PIL import Image
from sklearn.datasets import load_sample_images

from proxy_keras import ImageData
from proxy_keras.data.proxy_maker import Attenuation

SIDE, BATCH_SIZE = 224, 32
PEER = "image_dataset_from_directory"
HEADER = ["what", "wall per image", "CPU per image", "wall ratio", "CPU ratio", "target"]


def _write_photos(folder: Path, count: int, width: int, height: int) -> None:
    """Write JPEG files of random parts of scikit-learn's two photographs, two classes."""
    draw = np.random.default_rng(0)
    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    for number in range(count):
        photo = photos[number % 2]
        # Not all of the photograph, so that all files differ.
        part_width = int(draw.integers(SIDE, photo.width))
        part_height = min(photo.height, part_width * height // width)
        x = int(draw.integers(photo.width - part_width + 1))
        y = int(draw.integers(photo.height - part_height + 1))
        part = photo.resize((width, height), box=(x, y, x + part_width, y + part_height))
        target = folder / "ab"[number % 2] / f"{number:05d}.jpg"
        target.parent.mkdir(exist_ok=True)
        part.save(target, quality=90)


def _data(folder: Path, proxies: float = 0.0) -> ImageData:
    """Return images of which a share have proxies."""
    data = ImageData.from_folder(folder, image_size=SIDE, progress=False)
    count = int(proxies * len(data.train))
    if count:
        maps = np.random.default_rng(0).integers(0, 256, (count, 7, 7), np.uint8)
        thresholds = np.full(count, 0.5, np.float32)
        data.train.store.put(np.arange(count), maps, thresholds, epoch=0)
        data.train.attenuation = Attenuation(weight=1.0, replacement="blended")
    return data


def _peer(folder: Path) -> tf.data.Dataset:
    return keras.utils.image_dataset_from_directory(
        folder, image_size=(SIDE, SIDE), batch_size=BATCH_SIZE, seed=0, verbose=0
    ).prefetch(tf.data.AUTOTUNE)


def reading(count: int, width: int, height: int, rounds: int) -> str:
    """Compare a pass over files of one size with a pass of Keras' loader over the same files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_photos(folder, count, width, height)
        data = {
            "plain": _data(folder),
            "a fifth are proxies": _data(folder, 0.2),
            "all are proxies": _data(folder, 1.0),
        }
        images = {PEER: count, **{what: len(part.train) for what, part in data.items()}}

        def through(batches: tf.data.Dataset) -> Callable[[], object]:
            return lambda: sum(1 for _ in batches)

        times = interleaved(
            {
                PEER: through(_peer(folder)),
                **{what: through(part.train.batches(BATCH_SIZE)) for what, part in data.items()},
            },
            rounds=rounds,
        )
    per_image = {
        what: (1e3 * time.wall_s / images[what], 1e3 * time.cpu_s / images[what])
        for what, time in times.items()
    }
    peer_wall, peer_cpu = per_image[PEER]
    targets = {"plain": "<= 1.05", "all are proxies": "<= 1.15"}
    rows = [
        [
            what,
            f"{wall:.3f} ms",
            f"{cpu:.3f} ms",
            f"{wall / peer_wall:.2f}",
            f"{cpu / peer_cpu:.2f}",
            targets.get(what, ""),
        ]
        for what, (wall, cpu) in per_image.items()
    ]
    title = f"Reading {count} JPEG files of {width} x {height} px at {SIDE} px"
    return table(title, rows, HEADER)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images and rounds")
    quick = parser.parse_args().quick
    print(environment())
    print(reading(300 if quick else 2000, SIDE, SIDE, 3 if quick else 7))
    print(reading(100 if quick else 600, 500, 375, 3 if quick else 5))
    print(reading(16 if quick else 64, 4000, 3000, 3))


if __name__ == "__main__":
    main()
