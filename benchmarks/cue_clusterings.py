"""How well clusters of cells tell a planted shortcut from the object, by clustering and layer.

python benchmarks/cue_clusterings.py [--data-root DIR] [--only clusters,layers] [--quick]

DIR holds `asl_digits`, `fashion_mnist.npz`, `isic_patches` and `waterbirds`. Without it,
the digits with decoys are used.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from _cue_overlap import (
    Overlap,
    best,
    by_images,
    levels_found,
    mask_evidence,
    mean,
    means,
    oracle,
    overlap,
)
from _cues_of_cells import automatic, cues_of, nearest, sampled, training
from _planted_cues import (
    LAYERS,
    NETWORKS,
    PATCH_SIDE,
    Cells,
    add_options,
    chosen_networks,
    read_cells,
)
from _timing import environment, table
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from sklearn.decomposition import MiniBatchNMF

from proxy_keras.cues import cues as cues_module
from proxy_keras.cues.clustering import cluster_cells
from proxy_keras.cues.cue_tree import members, open_tree
from proxy_keras.cues.cues import MASK_EVIDENCE, Cues
from proxy_keras.cues.verdicts import Verdicts

CLUSTERS = (8, 16, 24, 48, 96, 192, 256)
MASKED_FROM = (0.0, 0.05, 0.15, 0.3)
TICK_BELOW = 0.35
SEEDS = 3
"""Clusterings per network; the tables show means."""


def nmf(cells: Cells, features: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return the strongest component of every cell with evidence, [N, h, w].

    Source: Fel et al., CRAFT (CVPR 2023), on cells of length 1.
    """
    few = np.random.default_rng(0).permutation(len(features))[:5000]
    found = MiniBatchNMF(count, random_state=0, batch_size=1024, max_iter=50).fit(features[few])
    lengths = np.linalg.norm(found.components_, axis=1)
    strongest = np.zeros(cells.evidence.shape, np.int64)
    hot = cells.evidence >= MASK_EVIDENCE
    strongest[hot] = (found.transform(cells.features[hot]) * lengths).argmax(axis=1)
    return strongest


def ticked(cells: Cells, cues: Cues, evidence: float, share: float = TICK_BELOW) -> Overlap:
    """Return the overlap of the cues that `tick_outside` finds."""
    cues.verdicts = Verdicts()
    cues.tick_outside(share)
    is_ticked = cues.ticked_clusters[cues.images.clusters]
    return overlap(cells, is_ticked & (cells.evidence >= evidence))


def measured(
    name: str, cells: Cells, features: NDArray[np.float32], count: int, seeds: int
) -> list[str]:
    """Return the best set, the levels that it finds and the ticked cues, as means over seeds."""
    described, ticks = [], []
    for seed in range(seeds):
        clusters = cluster_cells(features, count, seed=seed)
        described.append(best(name, cells, nearest(cells, clusters)))
        if name != "isic":
            cues = cues_of(cells, clusters, seed=seed)
            ticks.append(ticked(cells, cues, mask_evidence(name)))
    return [*means(described), str(mean(ticks)) if ticks else ""]


def clusters_part(name: str, cells: Cells, quick: bool) -> list[list[str]]:
    """Compare numbers of clusters, and NMF."""
    features, rows, seeds = sampled(cells), [], 1 if quick else SEEDS
    numbers = {str(count): count for count in ((24, 96) if quick else CLUSTERS)}
    auto = automatic(features)
    for label, count in {**numbers, f"auto: {auto}": auto}.items():
        start = time.process_time()
        cluster_cells(features, count, seed=0)
        seconds = time.process_time() - start
        row = measured(name, cells, features, count, seeds)
        rows.append([f"k-means, {label}", *row, f"{seconds:.1f}"])
    if name not in ("isic", "waterbirds"):
        for count in (24,) if quick else (8, 24, 96):
            start = time.process_time()
            labels = nmf(cells, features, count)
            seconds = time.process_time() - start
            row = means([best(name, cells, labels)])
            rows.append([f"NMF, {count}", *row, "", f"{seconds:.1f}"])
        mask = (cells.evidence >= MASK_EVIDENCE) & (cells.planted >= 0.25)
        levels = f"{levels_found(cells, mask)}" if name in PATCH_SIDE else ""
        bound = [str(overlap(cells, mask)), levels]
        rows.append(["the cells that touch the patch", *bound, "", ""])
    return rows


def evidence_part(name: str, cells: Cells, quick: bool) -> list[list[str]]:
    """Compare the evidence from which cells are clustered, and from which they are masked."""
    rows = []
    for evidence_from in (0.1, 0.15, 0.3, 0.5):
        features = sampled(cells, evidence_from)
        found = [
            nearest(cells, cluster_cells(features, automatic(features), seed=seed))
            for seed in range(1 if quick else SEEDS)
        ]
        row = [str(evidence_from)]
        if name == "isic":
            row.append(str(mean([by_images(cells, labels) for labels in found])))
        else:
            row += [
                str(mean([oracle(cells, labels, masked) for labels in found]))
                for masked in MASKED_FROM
            ]
        rows.append(row)
    return rows


def linkage_part(name: str, cells: Cells, quick: bool) -> list[list[str]]:
    """Compare trees: the best set of the shown cues, of few or of many."""
    if name == "isic":
        return []
    features = sampled(cells)
    found = cluster_cells(features, automatic(features), seed=0)
    labels, rows = nearest(cells, found), []
    weights = np.bincount(labels.ravel(), cells.evidence.ravel().astype(float), len(found.counts))
    weights /= weights.sum()
    trees = {
        "average cosine": found.joins,
        "complete cosine": linkage(found.centroids, "complete", "cosine")[:, :2].astype(np.int32),
        "Ward": linkage(found.centroids, "ward")[:, :2].astype(np.int32),
    }
    for title, joins in trees.items():
        clusters = dataclasses.replace(found, joins=joins)
        row = [title]
        for shown in (8, 16, 24, 32, len(found.counts)):
            node_of = np.zeros(len(found.counts), np.int64)
            for index, node in enumerate(open_tree(clusters, weights, shown)):
                node_of[members(clusters, node)] = index
            row.append(str(oracle(cells, node_of[labels], mask_evidence(name))))
        rows.append(row)
    return rows


def ticks_part(name: str, cells: Cells, quick: bool) -> list[list[str]]:
    """Compare how many images with a known object it takes to judge a cue, and the share."""
    if name == "isic":
        return []
    features, rows = sampled(cells), []
    clusters = cluster_cells(features, automatic(features), seed=0)
    default = cues_module.FEWEST_KNOWN
    for known in (0.02, 0.1, 0.5):
        for fewest in (1, 3, 5, 10, 20):
            cues_module.FEWEST_KNOWN = fewest
            cues = cues_of(cells, clusters, known=known)
            row = [f"{known:.0%}", str(fewest)]
            for share in (0.2, 0.35, 0.5):
                row.append(str(ticked(cells, cues, mask_evidence(name), share)))
            rows.append(row)
    cues_module.FEWEST_KNOWN = default
    return rows


def layers_part(name: str, by_layer: Mapping[str, Cells], quick: bool) -> list[list[str]]:
    """Compare layers, and two layers together."""
    rows = []
    for layer, cells in by_layer.items():
        features = sampled(cells)
        row = measured(name, cells, features, automatic(features), 1 if quick else SEEDS)
        rows.append([f"`{layer}`, {cells.evidence.shape[1]} x {cells.evidence.shape[2]}", *row])
    return rows


def together(last: Cells, earlier: Cells) -> Cells:
    """Return the cells of the last layer with the features of both, as vectors of length 1."""
    times = earlier.evidence.shape[1] // last.evidence.shape[1]
    count, height, width, depth = last.features.shape
    pooled = earlier.features[:, : height * times, : width * times]
    pooled = pooled.reshape(count, height, times, width, times, -1).mean(axis=(2, 4))
    pooled /= np.maximum(np.linalg.norm(pooled, axis=-1, keepdims=True), 1e-9)
    both = np.concatenate([last.features, pooled], axis=-1) / np.sqrt(np.float32(2))
    return dataclasses.replace(last, features=both)


class Part(NamedTuple):
    """A table for each network."""

    rows: Callable[[str, Cells, bool], list[list[str]]]
    header: list[str]


MEASURED = "IoU / patch covered / object hit"
PARTS = {
    "clusters": Part(
        clusters_part,
        ["clustering", f"best set: {MEASURED}", "levels", f"ticked: {MEASURED}", "CPU s"],
    ),
    "evidence": Part(evidence_part, ["clustered from", *(f"masked from {x}" for x in MASKED_FROM)]),
    "linkage": Part(linkage_part, ["joined by", "8 shown", "16", "24", "32", "all clusters"]),
    "ticks": Part(
        ticks_part,
        ["objects known", "fewest images", *(f"ticked below {x}" for x in (0.2, 0.35, 0.5))],
    ),
}
LAYERS_HEADER = ["layer", f"best set: {MEASURED}", "levels", f"ticked: {MEASURED}"]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, [*PARTS, "layers"])
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    print(environment())
    for network in chosen_networks(given, NETWORKS):
        name, _, seed = network.partition(":")
        by_layer = {}
        for layer in LAYERS[name] if "layers" in given.only else LAYERS[name][:1]:
            by_layer[layer] = training(
                read_cells(name, int(seed), layer, given.data_root, given.cache)
            )
        last, *earlier = by_layer
        for part in given.only.split(","):
            if part == "layers":
                for layer in earlier:
                    both = together(by_layer[last], by_layer[layer])
                    by_layer[f"{last} and {layer}"] = both
                rows, header = layers_part(name, by_layer, given.quick), LAYERS_HEADER
            else:
                rows, header = (
                    PARTS[part].rows(name, by_layer[last], given.quick),
                    PARTS[part].header,
                )
            if rows:
                print(table(f"{network}: {part}", rows, header[: len(rows[0])]), flush=True)


if __name__ == "__main__":
    main()
