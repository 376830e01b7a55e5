"""The clusters and the examined images of a folder of cues, checked against each other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from proxy_keras.cues.clustering import MOST_CLUSTERS, CellClusters
from proxy_keras.cues.cue_files import check_arrays, damaged, read_arrays
from proxy_keras.cues.cue_tree import CueTree
from proxy_keras.cues.examined import ExaminedImages


def read_tree(file: Path, depth: int) -> CueTree:
    """Read the clusters, and which nodes of their tree are shown.

    Args:
        file: The archive.
        depth: Channels D of the target layer.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or its clusters do not make a tree.
    """
    names = [field.name for field in dataclasses.fields(CellClusters)]
    arrays = read_arrays(file, [*names, "roots"])
    total = arrays["counts"].size
    if not 2 <= total <= MOST_CLUSTERS:
        raise damaged(file, f"must hold 2 to {MOST_CLUSTERS} clusters", f"{total} clusters")
    check_arrays(
        file,
        arrays,
        {
            "centroids": ((total, depth), np.floating),
            "means": ((total, depth), np.floating),
            "counts": ((total,), np.integer),
            "joins": ((total - 1, 2), np.integer),
            "roots": ((arrays["roots"].size,), np.integer),
        },
    )
    lengths = np.linalg.norm(arrays["centroids"].astype(np.float64), axis=1)
    if (np.abs(lengths - 1) > 1e-3).any() or (arrays["counts"] < 1).any():
        rule = "`centroids` must have length 1 and `counts` be at least 1"
        raise damaged(file, rule, f"lengths {lengths}, counts {arrays['counts']}")
    joins, roots = arrays["joins"], arrays["roots"]
    # Each node is made before it is joined, and joined once: otherwise the tree has a circle.
    is_tree = (
        (joins >= 0).all()
        and (joins < total + np.arange(total - 1)[:, np.newaxis]).all()
        and len(np.unique(joins)) == joins.size
    )
    if not is_tree:
        raise damaged(file, "`joins` must make a tree of the clusters", joins)
    types = {"centroids": np.float32, "means": np.float32, "counts": np.int64, "joins": np.int32}
    clusters = {name: arrays[name].astype(types[name]) for name in names}
    tree = CueTree(CellClusters(**clusters), tuple(roots.tolist()))
    are_nodes = len(roots) <= total and all(0 <= node <= 2 * total - 2 for node in tree.roots)
    covered = [tree.members(name) for name in tree.shown] if are_nodes else []
    if not covered or np.sort(np.concatenate(covered)).tolist() != list(range(total)):
        raise damaged(file, "`roots` must cover each cluster once", roots)
    return tree


def read_images(file: Path, tree: CueTree, num_classes: int) -> ExaminedImages:
    """Read the examined images.

    Args:
        file: The archive.
        tree: The clusters that their cells belong to.
        num_classes: K, of the model.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or does not fit the clusters or the classes.
    """
    names = [field.name for field in dataclasses.fields(ExaminedImages)]
    arrays = read_arrays(file, names)
    maps, total = arrays["clusters"], len(tree.clusters.counts)
    if maps.ndim != 3 or not maps.size:
        raise damaged(file, "`clusters` must be maps [N, h, w] of images", f"shape {maps.shape}")
    count = len(maps)
    check_arrays(
        file,
        arrays,
        {
            "example_ids": ((count,), np.str_),
            "labels": ((count,), np.integer),
            "predictions": ((count,), np.integer),
            "is_held_out": ((count,), np.bool_),
            "has_object": ((count,), np.bool_),
            "clusters": (maps.shape, np.integer),
            "evidence": (maps.shape, np.uint8),
            "similarity": (maps.shape, np.uint8),
            "inside": (maps.shape, np.uint8),
            "num_clusters": ((), np.integer),
        },
    )
    for name, lowest, end in (
        ("clusters", 0, total),
        ("labels", -1, num_classes),
        ("predictions", 0, num_classes),
        ("num_clusters", total, total + 1),
    ):
        low, high = arrays[name].min(), arrays[name].max()
        if low < lowest or high >= end:
            raise damaged(file, f"`{name}` must be in [{lowest}, {end - 1}]", f"{low} to {high}")
    values: dict[str, Any] = {name: arrays[name] for name in names}
    values["example_ids"] = arrays["example_ids"].tolist()
    if len(set(values["example_ids"])) != count:
        raise damaged(file, "`example_ids` must be unique", values["example_ids"])
    values["clusters"] = maps.astype(np.uint16)
    values["labels"] = arrays["labels"].astype(np.int32)
    values["predictions"] = arrays["predictions"].astype(np.int32)
    values["num_clusters"] = total
    return ExaminedImages(**values)
