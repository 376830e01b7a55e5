"""find_cues: what a classifier looks at, told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.cues.cell_reader import CellFeatures, CellReader, NearestCells
from proxy_keras.cues.clustering import MOST_CLUSTERS, CellClusters, cluster_cells
from proxy_keras.cues.cue_tree import SHOWN, CueTree, open_tree, reorder
from proxy_keras.cues.cues import Cues
from proxy_keras.cues.examined import ExaminedImages
from proxy_keras.cues.facts import FactFinder
from proxy_keras.cues.object_cells import object_cells
from proxy_keras.cues.readable_images import ArrayImages, ReadableImages, SplitImagesReader
from proxy_keras.data.data_split import DataSplit
from proxy_keras.data.split_images import SplitImages
from proxy_keras.heatmaps.eight_bit import quantise
from proxy_keras.io.progress import progress_bar
from proxy_keras.objects.object_masks import ObjectMasks

EVIDENCE_FROM = 0.3
"""Evidence from which a cell is used to find clusters, as a share of its image's highest."""

SAMPLE = 0.2
"""Share of the examined images whose cells are clustered, but at least `SMALLEST_SAMPLE`."""

SMALLEST_SAMPLE = 1000

SAMPLE_BYTES = 2**29
"""Largest size of the features that are clustered."""

KEPT_BYTES = 2**29
"""Largest size of the features of whole images that are kept, so as not to be computed twice."""

CELLS_PER_CLUSTER = 50
"""With clusters="auto": cells in the sample for each cluster."""

FEWEST_AUTO_CLUSTERS = 8
"""With clusters="auto": the smallest number."""

MOST_AUTO_CLUSTERS = 96
"""With clusters="auto": the largest number. On planted shortcuts, fewer mix them with other things,
and twice as many change little of what `tick_outside` covers at twice the time."""


def find_cues(
    model: keras.Model,
    images: Any,
    labels: Any = None,
    *,
    clusters: int | Literal["auto"] = "auto",
    target_layer: str | None = None,
    objects: ObjectMasks | None = None,
    max_images: int = 10_000,
    shown: int = SHOWN,
    batch_size: int = 64,
    seed: int = 0,
    verbose: int = 1,
) -> Cues:
    """Find the cues of a classifier: the things it looks at, told apart by their features.

    The cells of the target layer that hold evidence for the predicted class are clustered by their
    features, and similar clusters are joined into a tree, of which the largest differences are
    shown. Which of the cues are not the object is for a person to say: see `Cues.tick`.

    Only cells with at least `EVIDENCE_FROM` of the highest evidence in their image make clusters,
    in a sample of a fifth of the images, or of 1,000 if that is more. A cue whose evidence is
    weaker than that beside others, in every image, has no cluster of its own: its cells are counted
    to the most similar one. All cells of all examined images are counted.

    Memory is bounded by `max_images`: about 1 GB for features, and 5 bytes for each cell of each
    examined image. Data sets larger than memory are read in batches.

    Args:
        model: Any built Keras 3 classifier, as in `explain`.
        images: An `ImageData`, whose training images are examined, with mistakes counted on its
            validation images; one of its splits; or an array [N, H, W, C] in the model's range
            (a `numpy.memmap` is read in batches).
        labels: [N] class ids of the images of an array, -1 for those that are unknown; None: all.
        clusters: Number of clusters, in [2, 4096]; "auto": one for 50 sampled cells, in [8, 96].
        target_layer: Name of the layer whose cells are clustered; None: the last one with spatial
            positions.
        objects: Where the object is in some of the (training) images, by their position; None:
            unknown.
        max_images: Images to examine, at most, of the training and of the validation images each;
            drawn by the seed where there are more.
        shown: Number of cues to show at first, >= 1.
        batch_size: Images per batch, >= 1.
        seed: Keys the draws and the clustering, in [0, 2**32). The same arguments give the same
            bits on a CPU.
        verbose: 1: progress bars where there is a terminal; 0: none.

    Returns:
        The cues, most suspicious first.

    Raises:
        MissingExtra: scikit-learn is not installed.
        ValueError: An argument is invalid, or the model cannot be explained; the message says what
            to do.
        FloatingPointError: The model computes values that are not finite.
    """
    _check(clusters, max_images, shown, batch_size, seed, objects)
    examined, held_out = _sources(images, labels)
    reader = CellReader(model, target_layer)
    for part in (examined, held_out):
        if part is not None:
            _check_labels(part.labels, reader.num_classes)
    finder = _Finder(reader, int(batch_size), int(seed), verbose)
    positions = examined_positions(len(examined.labels), max_images, seed)
    found, kept = finder.cluster(examined, positions, clusters)
    parts = [finder.examine(examined, positions, found, objects, kept)]
    if held_out is not None:
        places = _draw(len(held_out.labels), max_images, seed, stream=1)
        parts.append(finder.examine(held_out, places, found, None, is_held_out=True))
    cells = ExaminedImages.join(parts)
    roots = open_tree(found, cells.evidence_by_cluster.mean(axis=0), shown)
    tree = CueTree(found, roots)
    facts = FactFinder(tree, cells, reader.num_classes)
    suspicion = [facts.facts(name).suspicion for name in tree.shown]
    # A stable sort keeps ties in the order of the tree.
    tree = reorder(tree, np.argsort(np.negative(suspicion), kind="stable").tolist())
    return Cues(model, reader, tree, cells, classes=_class_names(images, reader.num_classes))


_Kept = tuple[NDArray[np.int64], CellFeatures]
"""Positions of images, and their cells."""


@dataclass(frozen=True)
class _Finder:
    """Reads images, first for their features, then for the clusters of their cells."""

    reader: CellReader
    batch_size: int
    seed: int
    verbose: int

    def cluster(
        self, images: ReadableImages, positions: NDArray[np.int64], clusters: int | Literal["auto"]
    ) -> tuple[CellClusters, list[_Kept]]:
        """Cluster the cells with evidence of a sample of the images at `positions`.

        Returns:
            The clusters, and all cells of the first images of the sample.
        """
        count = max(SMALLEST_SAMPLE, round(SAMPLE * len(positions)))
        sample = np.sort(positions[_draw(len(positions), count, self.seed, stream=2)])
        depth = self.reader.depth
        most = max(SAMPLE_BYTES // (4 * depth) // len(sample), 1)
        hot: list[NDArray[np.float32]] = []
        kept: list[_Kept] = []
        free = KEPT_BYTES
        for places, batch in self._bar(images, sample, "cues, read"):
            cells = self.reader.read(batch)
            if cells.features.nbytes <= free:
                free -= cells.features.nbytes
                kept.append((places, cells))
            for position, features, evidence in zip(
                places.tolist(), cells.features, cells.evidence, strict=True
            ):
                chosen = np.flatnonzero(evidence >= EVIDENCE_FROM)
                if len(chosen) > most:
                    rng = np.random.default_rng([self.seed, position])
                    chosen = np.sort(rng.choice(chosen, most, replace=False))
                hot.append(features.reshape(-1, depth)[chosen])
        features = np.concatenate(hot)
        if len(features) == 0:
            raise ValueError(
                "The model has no evidence in any image, so there are no cues: its logits do not "
                f"depend on the layer '{self.reader.target_layer}'. Choose another target layer "
                "(--layer, target_layer=)."
            )
        if clusters == "auto":
            by_cells = len(features) // CELLS_PER_CLUSTER
            clusters = int(np.clip(by_cells, FEWEST_AUTO_CLUSTERS, MOST_AUTO_CLUSTERS))
        return cluster_cells(features, int(clusters), seed=self.seed), kept

    def examine(
        self,
        images: ReadableImages,
        positions: NDArray[np.int64],
        found: CellClusters,
        objects: ObjectMasks | None,
        kept: Sequence[_Kept] = (),
        *,
        is_held_out: bool = False,
    ) -> ExaminedImages:
        """Return the clusters and the evidence of all cells of the images at `positions`."""
        parts, order = [], []
        for places, cells in self._nearest(images, positions, found, kept):
            inside, has_object = object_cells(objects, places, cells.evidence.shape[1:])
            parts.append(
                ExaminedImages(
                    example_ids=[images.example_ids[position] for position in places.tolist()],
                    labels=images.labels[places],
                    predictions=cells.logits.argmax(axis=1).astype(np.int32),
                    is_held_out=np.full([len(places)], is_held_out),
                    clusters=cells.clusters.astype(np.uint16),
                    evidence=quantise(cells.evidence),
                    similarity=quantise(np.clip(cells.similarity, 0.0, 1.0)),
                    inside=inside,
                    has_object=has_object,
                    num_clusters=len(found.counts),
                )
            )
            order.append(places)
        return ExaminedImages.join(parts).take(np.argsort(np.concatenate(order)))

    def _nearest(
        self,
        images: ReadableImages,
        positions: NDArray[np.int64],
        found: CellClusters,
        kept: Sequence[_Kept],
    ) -> Iterator[tuple[NDArray[np.int64], NearestCells]]:
        for places, cells in kept:
            yield places, self.reader.assign(cells, found.centroids)
        known = [places for places, _ in kept]
        rest = np.setdiff1d(positions, np.concatenate(known)) if known else positions
        for places, batch in self._bar(images, rest, "cues, examine"):
            yield places, self.reader.nearest(batch, found.centroids)

    def _bar(self, images: ReadableImages, positions: NDArray[np.int64], desc: str) -> Any:
        return progress_bar(
            images.batches(positions, self.batch_size),
            total=-(-len(positions) // self.batch_size),
            desc=desc,
            leave=False,
            shown=bool(self.verbose),
        )


def _check(
    clusters: Any, max_images: Any, shown: Any, batch_size: Any, seed: Any, objects: Any
) -> None:
    if clusters != "auto" and not _is_integer(clusters, 2, MOST_CLUSTERS):
        raise ValueError(
            f"`clusters` must be 'auto' or in [2, {MOST_CLUSTERS}]. Received: {clusters!r}"
        )
    for name, value in (
        ("max_images", max_images),
        ("shown", shown),
        ("batch_size", batch_size),
    ):
        if not _is_integer(value, 1):
            raise ValueError(f"`{name}` must be an integer >= 1. Received: {value!r}")
    if not _is_integer(seed, 0, 2**32 - 1):
        raise ValueError(f"`seed` must be an integer in [0, 2**32). Received: {seed!r}")
    if objects is not None and not isinstance(objects, ObjectMasks):
        raise ValueError(
            "`objects` must be an ObjectMasks, such as find_object_masks gives. Received: "
            f"{type(objects).__name__}"
        )


def _is_integer(value: Any, lowest: int, highest: int | None = None) -> bool:
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    return is_integer and value >= lowest and (highest is None or value <= highest)


def _check_labels(labels: NDArray[np.int32], num_classes: int) -> None:
    low, high = int(labels.min()), int(labels.max())
    if low < -1 or high >= num_classes:
        raise ValueError(
            f"Labels must be class ids of the model, in [0, {num_classes}), or -1 where unknown. "
            f"Received: {low} to {high}. Use the data that the model was made for, or leave them "
            "out."
        )


def _sources(images: Any, labels: Any) -> tuple[ReadableImages, ReadableImages | None]:
    """Return the images to examine, and the held-out ones on which mistakes are counted."""
    if isinstance(images, SplitImages | DataSplit):
        if labels is not None:
            raise ValueError("Leave out `labels`: the data have their own.")
        if isinstance(images, DataSplit):
            if not len(images):
                raise ValueError(f"The split {images.name!r} has no images. Pass another one.")
            return SplitImagesReader(images), None
        held_out = SplitImagesReader(images.val) if len(images.val) else None
        return SplitImagesReader(images.train), held_out
    return ArrayImages(images, labels), None


def _class_names(images: Any, count: int) -> list[str] | None:
    names = getattr(images, "classes", None)
    return list(names) if isinstance(names, list) and len(names) == count else None


def examined_positions(count: int, max_images: int, seed: int) -> NDArray[np.int64]:
    """Return which of `count` (training) images `find_cues` examines, ascending."""
    return _draw(count, max_images, seed, stream=0)


def _draw(count: int, most: int, seed: int, *, stream: int) -> NDArray[np.int64]:
    """Return at most `most` of the positions 0 to count - 1, ascending."""
    if count <= most:
        return np.arange(count)
    rng = np.random.default_rng([seed, stream])
    return np.sort(rng.choice(count, most, replace=False))
