"""Networks with a known shortcut, and the cells of their feature maps, for benchmarks of cues."""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras import ImageData
from proxy_keras.cues.cell_reader import CellReader
from proxy_keras.cues.object_cells import object_cells
from proxy_keras.data.data_split import DataSplit
from proxy_keras.data.decoy_digits import make_decoy_digits
from proxy_keras.io.saved_model import load_model
from proxy_keras.models import build_model
from proxy_keras.objects.object_masks import ObjectMasks, find_object_masks

NETWORKS = ("decoys:0", "decoys:1", "signs:0", "fashion:0", "isic:0", "waterbirds:0")
"""Networks by data and seed."""

MOST_IMAGES = 1500
"""Images of each split whose cells are read, at most."""

PATCH_SIDE = {"fashion": 5, "signs": 5}
LITE0_SIZE = 160

TRAINING = {
    "decoys": ["--data", "decoy_digits", "--model", "resnet20", "--epochs", "20"],
    "signs": [*"--image-size 32 --model resnet20 --shortcut 0.9 --epochs 14".split()],
    "fashion": [*"--model small_cnn --shortcut 0.9 --limit 5000 --epochs 8".split()],
}
"""Options of `python -m proxy_keras.train`; the other networks are a head on frozen features."""

LAYERS = {
    "decoys": ("stage3_block3_relu", "stage3_block2_relu", "stage2_block3_relu"),
    "signs": ("stage3_block3_relu", "stage3_block2_relu", "stage2_block3_relu"),
    "fashion": ("block3_relu", "block2_relu"),
    "isic": ("top_activation", "blocks_14_add", "blocks_10_add"),
    "waterbirds": ("top_activation", "blocks_14_add", "blocks_10_add"),
}
"""The default target layer, earlier ones, and at last one of twice its resolution."""

FOLDERS = {
    "signs": "asl_digits",
    "fashion": "fashion_mnist.npz",
    "isic": "isic_patches",
    "waterbirds": "waterbirds",
}


def add_options(parser: argparse.ArgumentParser, parts: Iterable[str]) -> None:
    """Add the options of the benchmarks of cues."""
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="(default: decoys only)")
    parser.add_argument("--cache", type=Path, default=Path("runs/cue_clusterings"), metavar="DIR")
    parser.add_argument("--networks", nargs="*", metavar="NAME:SEED")
    parser.add_argument("--only", default=",".join(parts), metavar="PARTS")
    parser.add_argument("--quick", action="store_true", help="one network, fewer clusterings")


def chosen_networks(given: argparse.Namespace, networks: Sequence[str]) -> list[str]:
    """Return the networks to examine: the given ones, or those whose data are at hand."""
    if given.networks:
        return list(given.networks)
    at_hand = [name for name in networks if given.data_root or name.startswith("decoys")]
    return at_hand[:1] if given.quick else at_hand


@dataclass(frozen=True)
class Cells:
    """The cells of a layer, for training and held-out images.

    Attributes:
        features: [N, h, w, D] float32 of length 1.
        evidence: [N, h, w] float32 in [0, 1].
        predictions: [N] class ids.
        labels: [N] class ids.
        is_held_out: [N] bool.
        planted: [N, h, w] float32, share of each cell's area on what is not the object: the patch,
            or the background. In "isic", 1 in all cells of images with a patch.
        inside: [N, h, w] float32, share of each cell's area on the object; zeros if unknown.
        level: [N] the class that a grey patch shows; zeros without one.
    """

    features: NDArray[np.float32]
    evidence: NDArray[np.float32]
    predictions: NDArray[np.int64]
    labels: NDArray[np.int64]
    is_held_out: NDArray[np.bool_]
    planted: NDArray[np.float32]
    inside: NDArray[np.float32]
    level: NDArray[np.int64]


def read_cells(name: str, seed: int, layer: str, data_root: Path | None, cache: Path) -> Cells:
    """Return the cells of a layer, read once and then from the cache."""
    file = cache / f"{name}_{seed}_{layer}.npz"
    if file.exists():
        with np.load(file) as arrays:
            return Cells(**{field.name: arrays[field.name] for field in fields(Cells)})
    data, model = _network(name, seed, data_root, cache)
    reader = CellReader(model, layer)
    root = data_root or Path()
    parts = [_read(name, data, split, reader, root) for split in (data.train, data.val)]
    arrays = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    np.savez(file, **arrays)
    return Cells(**arrays)


def _network(
    name: str, seed: int, data_root: Path | None, cache: Path
) -> tuple[ImageData, keras.Model]:
    """Return the data and the network, which is trained if the cache has none."""
    data_root = data_root or Path()
    if name not in TRAINING:
        data = ImageData.from_folder(
            data_root / FOLDERS[name], image_size=LITE0_SIZE, seed=0, progress=False
        )
        return data, _frozen(data, cache / f"{name}_{seed}.keras", seed)
    run = cache / f"{name}_{seed}"
    if not (run / "metrics.json").exists():
        root = data_root / FOLDERS.get(name, "")
        source = {"decoys": [], "signs": ["--data", root], "fashion": ["--data", f"npz:{root}"]}
        options = [*source[name], *TRAINING[name], "--seed", seed, "--no-proxy", "--out", run]
        command = [sys.executable, "-m", "proxy_keras.train", *map(str, options)]
        subprocess.run(command, check=True)
    settings = json.loads((run / "config.json").read_text(encoding="utf-8"))["data"]
    data = ImageData.from_source(
        settings["source"],
        image_size=settings["image_size"],
        limit=settings["limit"],
        shortcut=settings["shortcut"],
        split_dir=run,
        progress=False,
    )
    return data, load_model(run / "model.keras")


def _frozen(data: ImageData, file: Path, seed: int) -> keras.Model:
    """Return EfficientNet-Lite0 with ImageNet's weights and a head trained on its features."""
    if file.exists():
        return load_model(file)
    keras.utils.set_random_seed(seed)
    model = build_model(
        "efficientnet_lite0",
        num_classes=data.num_classes,
        image_size=LITE0_SIZE,
        weights="imagenet",
    )
    pooled = keras.Model(model.inputs, model.get_layer("pooling").output)
    features = pooled.predict(data.train.originals(64).map(lambda _, x, y: x), verbose=0)
    head = keras.Sequential(
        [keras.Input([features.shape[1]]), keras.layers.Dense(data.num_classes)]
    )
    head.compile(
        keras.optimizers.Adam(2e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    head.fit(features, data.train.labels, batch_size=32, epochs=20, verbose=0)
    model.get_layer("logits").set_weights(head.get_weights())
    model.save(file)
    return model


def _read(
    name: str, data: ImageData, split: DataSplit, reader: CellReader, data_root: Path
) -> dict[str, NDArray]:
    """Return the fields of `Cells` for a split."""
    rng = np.random.default_rng(0)
    positions = np.sort(rng.permutation(len(split))[:MOST_IMAGES])
    truth = _Truth(name, data, split, positions, data_root)
    parts = []
    for places, images, _ in split.originals(64, positions).as_numpy_iterator():
        found = reader.read(images)
        planted, objects = truth.masks(places, images)
        shape = found.evidence.shape[1:]
        parts.append(
            {
                "features": found.features,
                "evidence": found.evidence,
                "predictions": found.logits.argmax(axis=1),
                "labels": split.labels[places].astype(np.int64),
                "is_held_out": np.full([len(places)], split is data.val),
                "planted": _share_of_cells(planted, shape),
                "inside": _share_of_cells(objects, shape),
                "level": np.rint(images[:, 0, 0, 0] / 255 * (data.num_classes - 1)).astype(int),
            }
        )
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


class _Truth:
    """What is planted in the images of a split, and where their object is."""

    def __init__(
        self,
        name: str,
        data: ImageData,
        split: DataSplit,
        positions: NDArray[np.int64],
        data_root: Path,
    ) -> None:
        self._name = name
        if name == "isic":
            with (data_root / FOLDERS[name] / "groups.csv").open(encoding="utf-8") as lines:
                groups = {row["file"]: row["group"] for row in csv.DictReader(lines)}
            path_of = dict(zip(data.table.example_ids, data.table.paths, strict=True))
            self._with_patch = np.array(
                ["with patch" in groups[path_of[example_id]] for example_id in split.example_ids]
            )
        elif name == "decoys":
            made = make_decoy_digits()
            self._decoys = {
                image.tobytes(): box
                for image, box in zip(made.x_train, made.decoys_train, strict=True)
            }
        root = data_root / FOLDERS[name] if name == "waterbirds" else None
        if name in ("decoys", "waterbirds"):
            self._objects = find_object_masks(
                data, split, root, positions=positions, progress=False
            )

    def masks(
        self, places: NDArray[np.int64], images: NDArray[np.float32]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which pixels are planted, and which are the object's: [B, P, P] each."""
        planted = np.zeros(images.shape[:3], bool)
        if self._name == "isic":
            planted[self._with_patch[places]] = True
            return planted, np.zeros_like(planted)
        if self._name in PATCH_SIDE:
            side = PATCH_SIDE[self._name]
            planted[:, :side, :side] = True
            objects = images.mean(axis=3) > 40
            if self._name == "signs":
                # The hand has no mask. It is in the middle.
                objects[:] = False
                objects[:, side:-side, side:-side] = True
            return planted, objects & ~planted
        objects = self._objects.masks(places)
        if self._name == "waterbirds":
            return ~objects, objects
        for mask, image in zip(planted, images.astype(np.uint8), strict=True):
            x0, y0, x1, y1 = self._decoys[image.tobytes()]
            mask[y0:y1, x0:x1] = True
        return planted, objects


def _share_of_cells(masks: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the share of each cell's area on masks [B, P, P]: [B, h, w]."""
    known = ObjectMasks(dict(enumerate(masks)), masks.shape[1])
    return object_cells(known, np.arange(len(masks)), shape)[0].astype(np.float32) / 255
