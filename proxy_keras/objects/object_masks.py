"""Object masks of a split's images, from mask files, a box table or the data set itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from proxy_keras.data import ImageData
from proxy_keras.data.data_split import DataSplit
from proxy_keras.io.progress import progress_bar
from proxy_keras.objects.box_table import BoxTable, pixels_of_boxes
from proxy_keras.objects.mask_folder import MaskFolder

MASKS, BOXES = "masks", "boxes.csv"
"""Names that are looked up in the folder of the images."""


class MaskSource(Protocol):
    """Object masks of image files, by path relative to the data's folder."""

    def __len__(self) -> int:
        """Return the number of files with an object."""

    def has(self, path: str) -> bool:
        """Return whether the object of an image is known."""

    def expected_name(self, path: str) -> str:
        """Return the name under which the object of an image is looked up."""

    def mask(self, path: str, file: Path, image_size: int) -> NDArray[np.bool_]:
        """Return the [P, P] mask of the object, stretched to P = `image_size`."""


class ObjectMasks:
    """Object masks of a split's images, packed into bits: 6 KB for 224 x 224 pixels.

    Args:
        masks: [P, P] bool by position in the split. Empty masks (no object) are dropped.
        image_size: P.

    Attributes:
        image_size: P.
        positions: [m] int64, ascending: the images whose object is known.
    """

    def __init__(self, masks: Mapping[int, NDArray[np.bool_]], image_size: int) -> None:
        self.image_size = image_size
        self._bits = {at: np.packbits(mask) for at, mask in masks.items() if mask.any()}
        self.positions = np.array(sorted(self._bits), np.int64)

    def __len__(self) -> int:
        """Return the number of images whose object is known."""
        return len(self._bits)

    def only(self, positions: NDArray[np.int64]) -> ObjectMasks:
        """Return the masks of some images; those without a known object are left out."""
        some = ObjectMasks({}, self.image_size)
        some._bits = {at: self._bits[at] for at in positions.tolist() if at in self._bits}
        some.positions = np.array(sorted(some._bits), np.int64)
        return some

    def drawn(self, count: int, share: float, *, seed: int) -> ObjectMasks:
        """Return the masks that are known in a share of the images, drawn by a seed.

        Args:
            count: Number of images of the split.
            share: In (0, 1], of all of them; at least one is drawn.
            seed: Keys the draw.
        """
        order = np.random.default_rng([seed, 7]).permutation(count)
        return self.only(np.sort(order[: max(round(share * count), 1)]))

    def has(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return whether the object of each image is known, [n]."""
        return np.array([int(at) in self._bits for at in positions], bool)

    def masks(self, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return the masks [n, P, P], each non-empty, in the order of `positions`.

        Raises:
            ValueError: The object of an image is not known; see `has`.
        """
        missing = np.asarray(positions)[~self.has(positions)]
        if missing.size:
            raise ValueError(
                f"The object is not known in the images at {missing.tolist()[:5]}. Pass positions "
                "for which `has` is true."
            )
        side = self.image_size
        masks = np.empty([len(positions), side, side], bool)
        for place, at in enumerate(positions):
            masks[place] = np.unpackbits(self._bits[int(at)], count=side * side).reshape(side, side)
        return masks


def find_object_masks(
    data: ImageData,
    split: DataSplit,
    root: str | os.PathLike[str] | None = None,
    *,
    masks: str | os.PathLike[str] | None = None,
    boxes: str | os.PathLike[str] | None = None,
    positions: NDArray[np.int64] | None = None,
    progress: bool = True,
) -> ObjectMasks | None:
    """Find the object masks of a split's images; None if there are none.

    Uses the first of: `masks`, `boxes`, the folder `masks` in `root`, the file `boxes.csv` in
    `root`, the boxes that come with the data set.

    Args:
        data: The images.
        split: One of its splits, or all images.
        root: The folder that the images were read from; None if they are not files.
        masks: Folder of masks, see `MaskFolder`.
        boxes: File of boxes, see `BoxTable`.
        positions: Positions of the images to look up in the split; None: all.
        progress: Whether to show a progress bar.

    Raises:
        FileNotFoundError: `masks` or `boxes` does not exist.
        ValueError: Both are given, the images are not files, none of the entries belongs to an
            image of the split, or an entry is damaged or does not fit its image.
    """
    if masks is not None and boxes is not None:
        raise ValueError("Give masks or boxes, not both. Masks are more exact.")
    if root is None and (masks is not None or boxes is not None):
        raise ValueError(
            "Masks and boxes are matched to image files by name, but these images are not files. "
            "Leave out --masks and --boxes, or give the images as a folder."
        )
    places = np.arange(len(split)) if positions is None else np.asarray(positions, np.int64)
    if root is not None:
        path_of = dict(zip(data.table.example_ids, data.table.paths, strict=True))
        paths = [path_of[example_id] for example_id in split.example_ids]
        for known in _files(Path(root), masks, boxes):
            if any(known.has(path) for path in paths):
                found = _read(known, Path(root), paths, places, split.image_size, progress)
                return ObjectMasks(found, split.image_size)
            if masks is not None or boxes is not None:
                raise ValueError(
                    f"{known} has {len(known)} images, but none of the split {split.name!r}. Name "
                    f"them like the images of the data, e.g. {known.expected_name(paths[0])!r}."
                )
    return of_data(split, places)


def _files(
    root: Path,
    masks: str | os.PathLike[str] | None,
    boxes: str | os.PathLike[str] | None,
) -> Iterator[MaskSource]:
    """Yield the given source, or else those in the folder of the images."""
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
    bar = progress_bar(places.tolist(), desc="objects", unit="image", shown=progress)
    return {
        at: known.mask(paths[at], root / paths[at], image_size)
        for at in bar
        if known.has(paths[at])
    }


def of_data(split: DataSplit, positions: NDArray[np.int64] | None = None) -> ObjectMasks | None:
    """Return the masks of the boxes that come with a data set; None if it has no boxes.

    Args:
        split: The images.
        positions: Positions of the images to look up in the split; None: all.
    """
    if split.boxes is None:
        return None
    places = np.arange(len(split)) if positions is None else positions
    known = [at for at in places.tolist() if split.example_ids[at] in split.boxes]
    side = split.image_size
    masks = {
        at: pixels_of_boxes(np.array([split.boxes[split.example_ids[at]]], np.float64), side)
        for at in known
    }
    return ObjectMasks(masks, side)
