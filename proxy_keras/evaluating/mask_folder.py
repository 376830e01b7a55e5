"""MaskFolder: the objects of image files by pictures of where they are."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from proxy_keras.data.images import UnreadableImageError, read_image

OBJECT_GREY = 128
"""Grey from which on a pixel belongs to the object."""

_COVERED = 0.5
"""Share of a pixel of the stretched image that the object must cover."""


class MaskFolder:
    """Masks of images: `FOLDER/CLASS/NAME.png` for `CLASS/NAME.jpg`, as deep as the images lie.

    A mask is a grey PNG of its image's size, or of its proportions: background 0, object 255; or 0
    and 1. In between, grey of 128 and above is object: so a trimap's border (128, not labelled)
    counts as object. It is where the outline runs, and thin parts such as ears and tails are
    nothing but border: left out, heat on them would count as heat on the background. The chance
    levels rise with it, for they are of the same masks.

    Args:
        folder: The folder.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It holds no PNG.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise FileNotFoundError(
                f"There is no folder {str(folder)!r}. Give a folder that holds a PNG mask for each "
                "image, in the same folders as the images."
            )
        self._names = {
            file.relative_to(self._folder).as_posix() for file in self._folder.rglob("*.png")
        }
        if not self._names:
            raise ValueError(f"{self} holds no PNG file. Masks are PNG files.")

    def __str__(self) -> str:
        """The folder."""
        return str(self._folder)

    def __len__(self) -> int:
        """The number of masks."""
        return len(self._names)

    def has(self, path: str) -> bool:
        """Whether an image has a mask."""
        return self.expected_name(path) in self._names

    def expected_name(self, path: str) -> str:
        """The name of an image's mask."""
        return PurePosixPath(path).with_suffix(".png").as_posix()

    def mask(self, path: str, file: Path, image_size: int) -> NDArray[np.bool_]:
        """The pixels of an image's object.

        Args:
            path: The image, relative to the data's folder.
            file: Its file.
            image_size: Side P to which the image is stretched.

        Returns:
            [P, P] bool: pixels of which the object covers at least half, or those that it covers
            most if there are none; all False where the mask has no object.

        Raises:
            ValueError: The mask is damaged, in colours, of other values, or of other proportions
                than its image.
            OSError: A file cannot be opened.
        """
        name = self._folder / self.expected_name(path)
        is_object = _read(name)
        height, width = is_object.shape
        image_height, image_width = read_image(file).shape[:2]
        # Sides that were scaled and rounded are off by up to half a pixel each.
        if abs(height * image_width - width * image_height) > (image_height + image_width) / 2:
            raise ValueError(
                f"The mask {str(name)!r} is {width} x {height} pixels (width x height), its image "
                f"{image_width} x {image_height}. Give the mask the size or the proportions of the "
                "image."
            )
        picture = Image.fromarray(is_object.astype(np.float32))
        covered = np.asarray(picture.resize((image_size, image_size), Image.Resampling.BOX))
        return (covered >= min(_COVERED, float(covered.max()))) & (covered > 0.0)


def _read(file: Path) -> NDArray[np.bool_]:
    """[h, w] whether a pixel of a mask is object."""
    try:
        pixels = read_image(file)
    except UnreadableImageError as error:
        raise ValueError(f"The mask {str(file)!r} cannot be read: {error.reason}.") from error
    grey = pixels[..., 0]
    if (pixels != grey[..., np.newaxis]).any():
        raise ValueError(
            f"The mask {str(file)!r} is in colours. Masks are grey: object white, background black."
        )
    highest = int(grey.max())
    if 1 < highest < OBJECT_GREY:
        raise ValueError(
            f"The mask {str(file)!r} has no grey above {highest}: its object is not told from its "
            "background. Object is 255 and background 0; or 1 and 0."
        )
    return grey == 1 if highest == 1 else grey >= OBJECT_GREY
