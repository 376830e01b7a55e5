"""Takes every tenth class out of an `npz:` source.

python docs/studies/ten_classes.py IN.npz OUT.npz
"""

from __future__ import annotations

import sys

import numpy as np

EVERY = 10


def main(source: str, target: str) -> None:
    """Writes the images of classes 0, 10, 20, ... of `source` to `target`, numbered anew."""
    with np.load(source) as given:
        kept = {}
        for part in ("train", "test"):
            labels = given[f"y_{part}"]
            is_kept = labels % EVERY == 0
            kept[f"x_{part}"] = given[f"x_{part}"][is_kept]
            kept[f"y_{part}"] = labels[is_kept] // EVERY
        np.savez_compressed(target, classes=given["classes"][::EVERY], **kept)


if __name__ == "__main__":
    main(*sys.argv[1:])
