"""Write a data source as an npz file in which the object of each image is said to be in the middle.

The box is made up: everything but a sixth of the side along each border. Cues outside it lie mostly
along the border, where `--shortcut` plants its patch; so do parts of the objects.

python docs/studies/central_boxes.py data/asl_digits central.npz --image-size 32
python docs/studies/central_boxes.py npz:data/fashion_mnist.npz central.npz
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

# Import the packages of this repository without installing them.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from proxy_keras import ImageData  # noqa: E402
from proxy_keras.data.data_split import DataSplit  # noqa: E402

MARGIN = 6
"""The box leaves out one part in this many of the side, along each border."""


def arrays_of(split: DataSplit) -> dict[str, Any]:
    """Return the images, labels and boxes of a split, in its order."""
    read = [(places, images) for places, images, _ in split.originals(64).as_numpy_iterator()]
    order = np.argsort(np.concatenate([places for places, _ in read]))
    images = np.concatenate([images for _, images in read])[order]
    side = split.image_size
    box = [side // MARGIN, side // MARGIN, side - side // MARGIN, side - side // MARGIN]
    return {
        "x": np.rint(images).astype(np.uint8),
        "y": split.labels,
        "boxes": np.tile(np.array(box, np.int64), (len(images), 1)),
    }


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("source")
    parser.add_argument("target", type=Path)
    parser.add_argument("--image-size", type=int)
    given = parser.parse_args(argv)
    data = ImageData.from_source(given.source, image_size=given.image_size)
    # A study draws its own validation images.
    both, test = [arrays_of(data.train), arrays_of(data.val)], arrays_of(data.test)
    train = {name: np.concatenate([part[name] for part in both]) for name in test}
    np.savez_compressed(
        given.target,
        classes=np.array(data.classes),
        **{f"{name}_train": array for name, array in train.items()},
        **{f"{name}_test": array for name, array in test.items()},
    )
    print(f"{len(train['x'])} + {len(test['x'])} images: {given.target}")


if __name__ == "__main__":
    main()
