"""Compare ticked cues with what is known of the training images: planted boxes, objects, groups.

python docs/studies/ticks/truth.py CUES --data SRC
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from numpy.typing import NDArray

from proxy_keras import Cues, ImageData
from proxy_keras.cues.cues import MASK_EVIDENCE
from proxy_keras.cues.object_cells import area_shares
from proxy_keras.objects.object_masks import find_object_masks
from proxy_keras.proxy.planted_boxes import planted_cells


def print_overlap(
    title: str, where: NDArray[np.bool_], ticked: NDArray[np.bool_], evidence: NDArray[np.float32]
) -> None:
    """Print the share of known pixels [n, P, P] in ticked cells [n, h, w], by area and evidence."""
    shares = area_shares(where, ticked.shape[1:])
    by_area = shares[ticked].sum() / shares.sum()
    weighted = shares * evidence
    by_evidence = weighted[ticked].sum() / weighted.sum()
    print(
        f"{title} ({len(where)} images): {by_area:.0%} of its area, {by_evidence:.0%} of its "
        "evidence is ticked"
    )


def group_of(root: Path, data: ImageData) -> list[str]:
    """Return the group of each training image."""
    with (root / "groups.csv").open(newline="", encoding="utf-8") as lines:
        groups = {row["file"]: row["group"] for row in csv.DictReader(lines)}
    path_of = dict(zip(data.table.example_ids, data.table.paths, strict=True))
    return [groups.get(path_of[example_id], "") for example_id in data.train.example_ids]


def main() -> None:
    """Print how well the ticks agree with the truth."""
    parser = argparse.ArgumentParser(description="Compare ticked cues with what is known.")
    parser.add_argument("cues", type=Path, metavar="CUES", help="folder of cues")
    parser.add_argument("--data", required=True, metavar="SRC", help="the images, as in training")
    given = parser.parse_args()
    cues = Cues.load(given.cues)
    side = cues.image_shape[0]
    data = ImageData.from_source(given.data, image_size=side, seed=0, progress=False)
    # The cells are saved with the cues, so no image is classified again.
    place_of = {example_id: place for place, example_id in enumerate(cues.images.example_ids)}
    places = [place_of[example_id] for example_id in data.train.example_ids]
    evidence = cues.images.evidence[places].astype(np.float32) / 255
    in_ticked_cue = cues.ticked_clusters[cues.images.clusters[places]]
    ticked = in_ticked_cue & (evidence >= MASK_EVIDENCE)
    print(f"ticked: {', '.join(cues.ticked)}: {cues.ticked_evidence:.0%} of the evidence")
    print(
        f"{ticked.any(axis=(1, 2)).mean():.0%} of the images show a ticked cue, in "
        f"{ticked.mean():.0%} of all cells"
    )

    root = Path(given.data) if Path(given.data).is_dir() else None
    if data.planted is not None:
        print_overlap("planted", planted_cells(data.train) > 0, ticked, evidence)
    objects = find_object_masks(data, data.train, root, progress=False)
    if objects is not None:
        at = objects.positions
        masks = objects.masks(at)
        print_overlap("object", masks, ticked[at], evidence[at])
        print_overlap("all but the object", ~masks, ticked[at], evidence[at])
    if root is not None and (root / "groups.csv").is_file():
        groups = np.array(group_of(root, data))
        for group in np.unique(groups):
            shown = ticked[groups == group]
            share = shown.sum() / ticked.sum()
            print(
                f"{group} ({len(shown)} images): {shown.any(axis=(1, 2)).mean():.0%} show a "
                f"ticked cue; they hold {share:.0%} of all ticked cells"
            )


if __name__ == "__main__":
    main()
