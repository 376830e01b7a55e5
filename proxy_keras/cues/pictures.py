"""Pictures of cues: crops, and their whole images with the outline of the cue."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from proxy_keras.cues.cues import Cues
from proxy_keras.cues.examples import Example, choose_examples

CROP = 0.3
"""Side of a crop as a share of the image's, but at least `CROP_CELLS` cells."""

CROP_CELLS = 1.5

LARGEST = 160
"""Largest side of a whole image on the page, in pixels."""

SMALL = 64
"""Images up to this side are stored without loss."""

Read = Callable[[list[str]], dict[str, NDArray[np.uint8]]]
"""Returns images [P, P, 3] by id."""


@dataclass(frozen=True)
class Picture:
    """One image that shows a cue.

    Attributes:
        name: Path or id of the image.
        label: Its class; None: unknown.
        predicted: The predicted class.
        is_nearest: Whether it is one of the nearest to the cue's centre; otherwise it was drawn.
        crop: The crop, as a data URI.
        image: The whole image, as a data URI.
        outline: Path of the cue's outline in SVG, in units of cells.
        cells: Columns and rows of the feature map.
        box: x, y, width and height of the crop, in units of cells.
    """

    name: str
    label: str | None
    predicted: str
    is_nearest: bool
    crop: str
    image: str
    outline: str
    cells: tuple[int, int]
    box: tuple[float, float, float, float]

    @property
    def is_small(self) -> bool:
        """Whether the image is small, so that its pixels are shown as they are."""
        return self.image.startswith("data:image/png")

    @property
    def is_wrong(self) -> bool:
        """Whether the answer is wrong."""
        return self.label is not None and self.label != self.predicted


def draw_pictures(
    cues: Cues,
    names: Sequence[str],
    read: Read,
    path_of: Callable[[str], str],
    *,
    page: int = 0,
    seed: int = 0,
) -> dict[str, list[Picture]]:
    """Return the pictures of cues by their name.

    Args:
        cues: The cues.
        names: Names of those to draw.
        read: Reads images.
        path_of: Returns the path of an image.
        page: 0: the first pictures; 1: the next ones; ...
        seed: Keys the draw of images.

    Raises:
        ValueError, OSError: An image cannot be read.
    """
    chosen = {
        name: choose_examples(cues.images, cues.tree.members(name), page=page, seed=seed)
        for name in names
    }
    ids = cues.images.example_ids
    images = read(sorted({ids[example.image] for of in chosen.values() for example in of}))
    return {
        name: [
            _draw(cues, example, images[ids[example.image]], path_of(ids[example.image]))
            for example in of
        ]
        for name, of in chosen.items()
    }


def _draw(cues: Cues, example: Example, image: NDArray[np.uint8], path: str) -> Picture:
    rows, columns = example.cells.shape
    height, width = image.shape[:2]
    x, w = _window(example.column, columns)
    y, h = _window(example.row, rows)
    top, bottom = (round(edge * height / rows) for edge in (y, y + h))
    left, right = (round(edge * width / columns) for edge in (x, x + w))
    label = int(cues.images.labels[example.image])
    return Picture(
        name=path,
        label=None if label < 0 else _class_name(cues, label),
        predicted=_class_name(cues, int(cues.images.predictions[example.image])),
        is_nearest=example.is_nearest,
        crop=data_uri(image[top:bottom, left:right]),
        image=data_uri(image),
        outline=outline(example.cells),
        cells=(columns, rows),
        box=(round(x, 3), round(y, 3), round(w, 3), round(h, 3)),
    )


def _class_name(cues: Cues, class_id: int) -> str:
    return str(class_id) if cues.classes is None else cues.classes[class_id]


def _window(cell: int, count: int) -> tuple[float, float]:
    """Return start and length of a crop around a cell along an axis, in cells, inside the image."""
    length = min(max(CROP * count, CROP_CELLS), count)
    return min(max(cell + 0.5 - length / 2, 0.0), count - length), length


def outline(cells: NDArray[np.bool_]) -> str:
    """Return the borders of cells [h, w] as an SVG path, one unit per cell."""
    padded = np.pad(cells, 1)
    across = padded[1:, 1:-1] != padded[:-1, 1:-1]
    down = padded[1:-1, 1:] != padded[1:-1, :-1]
    parts = [f"M{x} {y}h1" for y, x in np.argwhere(across).tolist()]
    parts += [f"M{x} {y}v1" for y, x in np.argwhere(down).tolist()]
    return "".join(parts)


def data_uri(image: NDArray[np.uint8]) -> str:
    """Return an image [h, w, 3] as a data URI, without loss if it is small."""
    picture = Image.fromarray(image)
    is_small = max(picture.size) <= SMALL
    picture.thumbnail((LARGEST, LARGEST))
    kind = "png" if is_small else "jpeg"
    with io.BytesIO() as file:
        picture.save(file, kind, **({"optimize": True} if is_small else {"quality": 82}))
        return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
