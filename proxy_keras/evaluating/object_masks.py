"""Where the object is in each image of a split: by masks, by boxes, or by the data themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from proxy_keras.data import ImageData
from proxy_keras.data.data_split import Subset
from proxy_keras.evaluating.box_table import BoxTable, pixels_of_boxes
from proxy_keras.evaluating.mask_folder import MaskFolder

MASKS, BOXES = "masks", "boxes.csv"
"""What is looked for beside the images of a folder."""


class MaskSource(Protocol):
    """Knows the objects of image files, by their paths relative to the data's folder."""

    def __len__(self) -> int:
        """The number of files that it names."""

    def has(self, path: str) -> bool:
        """Whether it knows the object of an image."""

    def expected_name(self, path: str) -> str:
        """What it must call an image."""

    def mask(self, path: str, file: Path, image_size: int) -> NDArray[np.bool_]:
        """[P, P] the object's pixels in the image, stretched to a square of P = `image_size`."""


class ObjectMasks:
    """The pixels of the object in the images of a split, where they are known.

    Held as bits: 6 KB for an image of 224 pixels.

    Args:
        masks: [P, P] bool by position in the split. One without a pixel says that the image shows
            no object, and is left out.
        image_size: P.
        source: Where they are from, for people.
        ignored: Masks or boxes that belong to no image of the split.

    Attributes:
        image_size: P.
        source: See above.
        ignored: See above.
        empty: Masks that were left out, having no pixel.
        positions: [m] int64, ascending: the images whose object is known.
    """

    def __init__(
        self,
        masks: Mapping[int, NDArray[np.bool_]],
        image_size: int,
        *,
        source: str,
        ignored: int = 0,
    ) -> None:
        self.image_size = image_size
        self.source = source
        self.ignored = ignored
        self._bits = {at: np.packbits(mask) for at, mask in masks.items() if mask.any()}
        self.empty = len(masks) - len(self._bits)
        self.positions = np.array(sorted(self._bits), np.int64)

    def __len__(self) -> int:
        """The number of images whose object is known."""
        return len(self._bits)

    def has(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """[n] whether the object of each image is known."""
        return np.array([int(at) in self._bits for at in positions], bool)

    def masks(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """[n, P, P] the object's pixels, at least one each, in the order of the positions.

        Raises:
            ValueError: The object of an image is not known; see `has`.
        """
        missing = np.asarray(positions)[~self.has(positions)]
        if missing.size:
            raise ValueError(
                f"The object is not known in the images at {missing.tolist()[:5]}. Ask for those "
                "that `has` names."
            )
        side = self.image_size
        masks = np.empty([len(positions), side, side], bool)
        for place, at in enumerate(positions):
            masks[place] = np.unpackbits(self._bits[int(at)], count=side * side).reshape(side, side)
        return masks


def find_object_masks(
    data: ImageData,
    subset: Subset,
    root: str | os.PathLike[str] | None = None,
    *,
    masks: str | os.PathLike[str] | None = None,
    boxes: str | os.PathLike[str] | None = None,
    positions: NDArray[np.int64] | None = None,
    progress: bool = True,
) -> ObjectMasks | None:
    """Where the objects of a subset's images are; None if nothing tells.

    The first of these that there is: `masks`, `boxes`, the folder `masks` in `root`, the file
    `boxes.csv` there, the boxes of the data themselves.

    Args:
        data: The images.
        subset: One of its splits, or all images.
        root: The folder that the images were read from; None: they are no files.
        masks: Folder of masks, see `MaskFolder`.
        boxes: File of boxes, see `BoxTable`.
        positions: Which of the subset's images are looked up; None: all.
        progress: Shows a bar.

    Raises:
        FileNotFoundError: `masks` or `boxes` does not exist.
        ValueError: They are given both, or for images that are no files, or belong to no image of
            the subset; or one of them is damaged or does not fit its image.
    """
    if masks is not None and boxes is not None:
        raise ValueError("Give masks or boxes, not both: masks are the more exact.")
    if root is None and (masks is not None or boxes is not None):
        raise ValueError(
            "Masks and boxes are found by the files of the images, and these images are no files. "
            "Leave them out, or give the images as a folder."
        )
    places = np.arange(len(subset)) if positions is None else np.asarray(positions, np.int64)
    if root is not None:
        path_of = dict(zip(data.table.example_ids, data.table.paths, strict=True))
        paths = [path_of[example_id] for example_id in subset.example_ids]
        for known in _files(Path(root), masks, boxes):
            ignored = len(known) - sum(known.has(path) for path in paths)
            if ignored < len(known):
                found = _read(known, Path(root), paths, places, subset.image_size, progress)
                return ObjectMasks(found, subset.image_size, source=str(known), ignored=ignored)
            if masks is not None or boxes is not None:
                raise ValueError(
                    f"{known} knows {len(known)} images, but none of the split {subset.name!r}. It "
                    f"must name them as the data do, such as {known.expected_name(paths[0])!r}."
                )
    return None if subset.boxes is None else _of_data(subset, places)


def _files(
    root: Path,
    masks: str | os.PathLike[str] | None,
    boxes: str | os.PathLike[str] | None,
) -> Iterator[MaskSource]:
    """What was asked for, or else what lies beside the images."""
    if masks is not None:
        yield MaskFolder(masks)
    elif boxes is not None:
        yield BoxTable(boxes)
    else:
        if (root / MASKS).is_dir():
            yield MaskFolder(root / MASKS)
        if (root / BOXES).is_file():
            yield BoxTable(root / BOXES)


def _read(
    known: MaskSource,
    root: Path,
    paths: Sequence[str],
    places: NDArray[np.int64],
    image_size: int,
    progress: bool,
) -> dict[int, NDArray[np.bool_]]:
    bar = tqdm(places.tolist(), desc="objects", unit="image", disable=not progress)
    return {
        at: known.mask(paths[at], root / paths[at], image_size)
        for at in bar
        if known.has(paths[at])
    }


def _of_data(subset: Subset, places: NDArray[np.int64]) -> ObjectMasks:
    boxes = subset.boxes or {}
    known = [at for at in places.tolist() if subset.example_ids[at] in boxes]
    side = subset.image_size
    masks = {
        at: pixels_of_boxes(np.array([boxes[subset.example_ids[at]]], np.float64), side)
        for at in known
    }
    return ObjectMasks(masks, side, source="the boxes of the data")
