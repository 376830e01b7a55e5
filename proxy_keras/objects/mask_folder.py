"""Object masks of image files from a folder of PNG files."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from proxy_keras.data.images import UnreadableImageError, read_image
from proxy_keras.io.names import canonical

OBJECT_GREY = 128
"""Grey level at or above which a pixel belongs to the object."""

_COVERED = 0.5
"""Share of a pixel of the stretched image that the object must cover."""


class MaskFolder:
    """Object masks of images: `FOLDER/CLASS/NAME.png` for `CLASS/NAME.jpg`, in the same subfolders.

    A mask is a grey PNG with the size or the proportions of its image: background 0, object 255 (or
    0 and 1). Grey 128 and above is object, so the unlabelled border of a trimap (128) counts as
    object: thin parts such as ears and tails consist of border only, and heat on them must not
    count as background. The baselines use the same masks.

    Args:
        folder: The folder.

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: It has no PNG files.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        if not self._folder.is_dir():
            raise FileNotFoundError(
                f"{str(folder)!r} is not a folder. Give a folder with a PNG mask per image, in "
                "the same subfolders as the images."
            )
        files = [file.relative_to(self._folder).as_posix() for file in self._folder.rglob("*.png")]
        self._names = {canonical(name): name for name in files}
        if not self._names:
            raise ValueError(f"{self} has no PNG files. Masks must be PNG files.")

    def __str__(self) -> str:
        """Return the path of the folder."""
        return str(self._folder)

    def __len__(self) -> int:
        """Return the number of masks."""
        return len(self._names)

    def has(self, path: str) -> bool:
        """Return whether an image has a mask."""
        return canonical(self.expected_name(path)) in self._names

    def expected_name(self, path: str) -> str:
        """Return the path of an image's mask in the folder."""
        return PurePosixPath(path).with_suffix(".png").as_posix()

    def mask(self, path: str, file: Path, image_size: int) -> NDArray[np.bool_]:
        """Read the object mask of an image.

        Args:
            path: The image, relative to the data's folder.
            file: Its file.
            image_size: Side P to which the image is stretched.

        Returns:
            [P, P] bool: pixels that the object covers by at least half, or by the largest share if
            there are none; all False if the mask is empty.

        Raises:
            ValueError: The mask is damaged, has colours, invalid values, or other proportions than
                its image.
            OSError: A file cannot be opened.
        """
        name = self._folder / self._names[canonical(self.expected_name(path))]
        is_object = _read(name)
        height, width = is_object.shape
        image_height, image_width = read_image(file).shape[:2]
        # Rounding after scaling moves each side by up to half a pixel.
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
    """Return which pixels of a mask file are object, [h, w]."""
    try:
        pixels = read_image(file)
    except UnreadableImageError as error:
        raise ValueError(f"The mask {str(file)!r} cannot be read: {error.reason}.") from error
    grey = pixels[..., 0]
    if (pixels != grey[..., np.newaxis]).any():
        raise ValueError(
            f"The mask {str(file)!r} has colours. Masks must be grey: object white, background "
            "black."
        )
    highest = int(grey.max())
    if 1 < highest < OBJECT_GREY:
        raise ValueError(
            f"The mask {str(file)!r} has no grey level above {highest}, so its object is unknown. "
            "Use 255 for the object and 0 for the background, or 1 and 0."
        )
    return grey == 1 if highest == 1 else grey >= OBJECT_GREY
