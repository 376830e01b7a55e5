"""Whether planted shortcuts come early in the order of cues, and how mixtures are recognised.

python benchmarks/cue_order.py [--data-root DIR] [--only shown,mixtures] [--quick]

See cue_clusterings.py for DIR and the networks.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from _cues_of_cells import automatic, cues_of, sampled, training
from _planted_cues import LAYERS, NETWORKS, Cells, add_options, chosen_networks, read_cells
from _timing import environment, table
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.stats import rankdata

from proxy_keras.cues.clustering import cluster_cells
from proxy_keras.cues.cue_tree import CueTree
from proxy_keras.cues.cues import Cues

PLANTED = 0.5
"""Share of a cue's evidence on the shortcut from which it is one to be found."""

TOUCHES = 0.25
"""Share of a cell's area on the patch from which the patch is in the cell."""

MIXED = 0.3
"""Difference in the halves' shares of evidence on the shortcut from which a cue is a mixture."""

SEEDS = 3
"""Clusterings per network; the tables show means."""

FRESH = ("signs:1", "decoys:2")
"""Networks that were added after a first choice of the order."""

Table = tuple[str, list[list[str]], list[str]]

COMBINED = (
    "excess + position",
    "within + position",
    "position + across",
    "position + evidence",
    "position + purity",
    "excess + position + purity",
    "within + position + purity",
)

Signals = Mapping[str, NDArray[np.float64]]


def on_shortcut(name: str, cells: Cells) -> NDArray[np.float32]:
    """Return how far each cell is on the shortcut, [N, h, w].

    The cells around a patch are on it too, because they see it: they have its features.
    """
    if name in ("isic", "waterbirds"):
        return cells.planted
    return (maximum_filter(cells.planted, size=(1, 3, 3)) >= TOUCHES).astype(np.float32)


def planted_share(name: str, cells: Cells, cues: Cues) -> NDArray[np.float64]:
    """Return the evidence of each cluster on the shortcut, on the object, and in all: [3, M]."""
    count, labels = cues.images.num_clusters, cues.images.clusters.ravel()
    weights = (on_shortcut(name, cells), cells.inside >= 0.5, 1.0)
    return np.stack([np.bincount(labels, (cells.evidence * w).ravel(), count) for w in weights])


def signals(cells: Cells, cues: Cues) -> Signals:
    """Return what may tell a shortcut without knowing it, for each shown cue."""
    facts = [cues.facts(name) for name in cues.shown]
    by_cluster = cues.images.evidence_by_cluster
    share = np.stack([by_cluster[:, cues.tree.members(n)].sum(axis=1) for n in cues.shown], axis=1)
    judged = cues.images.is_held_out
    wrong, right = share[judged & cues.images.is_wrong], share[judged & ~cues.images.is_wrong]
    excess = wrong.mean(axis=0) - right.mean(axis=0)
    error = np.sqrt(wrong.var(axis=0) / len(wrong) + right.var(axis=0) / len(right))
    within = within_predictions(cells, cues, share)
    by_class = np.stack([share[cells.labels == label].mean(axis=0) for label in set(cells.labels)])
    by_class /= np.maximum(by_class.sum(axis=0), 1e-9)
    across = -(by_class * np.log(np.maximum(by_class, 1e-9))).sum(axis=0) / np.log(len(by_class))
    evidence = np.array([fact.evidence_share for fact in facts])
    position = np.array([fact.position for fact in facts])
    purity = np.minimum([fact.purity for fact in facts], 0.99)
    leads_wrong = np.array([fact.leads_wrong or 0.0 for fact in facts])
    found = {
        "evidence": evidence,
        "evidence in mistakes minus in correct answers": excess,
        "the same in standard errors": excess / np.maximum(error, 1e-3),
        "ratio of evidence in mistakes and in correct answers": (wrong.mean(axis=0) + 0.005)
        / (right.mean(axis=0) + 0.005),
        "mistakes minus correct answers, within predictions": within,
        "error rate where it leads": leads_wrong,
        "present across classes": across,
        "in few classes": -across,
        "position": position,
        "position without chance": unlikely_position(cues, position),
        "position times root of evidence": position * np.sqrt(evidence),
        "position times evidence": position * evidence,
        "mistakes + position times evidence": excess + position * evidence,
        "purity": purity,
        "position by variety": position / (1 - purity),
        "root of position by variety": np.sqrt(position) / (1 - purity),
    }
    names = {
        "excess": "evidence in mistakes minus in correct answers",
        "errors": "the same in standard errors",
        "ratio": "ratio of evidence in mistakes and in correct answers",
        "leads": "error rate where it leads",
        "within": "mistakes minus correct answers, within predictions",
        "across": "present across classes",
        "position": "position",
        "evidence": "evidence",
        "purity": "purity",
    }
    ranks = {short: rankdata(found[name]) for short, name in names.items()}
    for combined in COMBINED:
        found[f"ranks: {combined}"] = sum(ranks[short] for short in combined.split(" + "))
    return found


def within_predictions(cells: Cells, cues: Cues, share: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how much more evidence a cue has in mistakes than in right answers of the same class.

    Both have the same predicted class, and the mean is over mistakes: [cues].
    """
    judged, wrong = cues.images.is_held_out, cues.images.is_wrong
    excess = np.zeros(share.shape[1])
    for label in np.unique(cells.predictions[judged & wrong]):
        of = judged & (cells.predictions == label)
        if (of & ~wrong).any():
            difference = share[of & wrong].mean(axis=0) - share[of & ~wrong].mean(axis=0)
            excess += (of & wrong).sum() * difference
    return excess / max((judged & wrong).sum(), 1)


def unlikely_position(cues: Cues, position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the divergence of place less what it is by chance for so few cells: [cues]."""
    images = cues.images
    evidence = images.evidence.astype(np.float64)
    counts = [
        np.bincount(images.clusters.ravel(), weights.ravel(), images.num_clusters)
        for weights in (evidence, evidence**2)
    ]
    places = images.clusters[0].size
    chance = []
    for name in cues.shown:
        first, second = (count[cues.tree.members(name)].sum() for count in counts)
        chance.append((places - 1) * second / max(first, 1e-9) ** 2 / (8 * np.log(2)))
    return position - np.array(chance)


def before(score: NDArray[np.float64], is_planted: NDArray[np.bool_]) -> tuple[float, float]:
    """Return how often a planted cue comes before another one, and the rank of the first.

    Ties count half.
    """
    ranks = rankdata(-score)
    planted, others = score[is_planted, None], score[None, ~is_planted]
    wins = (planted > others).mean() + 0.5 * (planted == others).mean()
    return float(wins), float(ranks[is_planted].min())


def all_clusters(cues: Cues) -> Cues:
    """Return the cues with every cluster shown."""
    tree = CueTree(cues.tree.clusters, tuple(range(len(cues.tree.clusters.counts))))
    return Cues(None, cues._reader, tree, cues.images)


def order_part(
    networks: Mapping[str, Cells], seeds: int, title: str, change: Callable[[Cues], Cues]
) -> Table:
    """Return the table of all signals."""
    wins: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    notes = defaultdict(list)
    for network, cells in networks.items():
        features = sampled(training(cells))
        for seed in range(seeds):
            clusters = cluster_cells(features, automatic(features), seed=seed)
            cues = change(cues_of(cells, clusters))
            planted, _, every = planted_share(network.partition(":")[0], cells, cues)
            members = [cues.tree.members(name) for name in cues.shown]
            is_planted = np.array([planted[m].sum() / every[m].sum() for m in members])
            is_planted = is_planted >= PLANTED
            notes[network].append(f"{is_planted.sum()} of {len(is_planted)}")
            if not 0 < is_planted.sum() < len(is_planted):
                continue
            for name, score in signals(cells, cues).items():
                wins[name][network].append(before(score, is_planted))
            first = (len(is_planted) + 1) / (is_planted.sum() + 1)
            wins["random"][network].append((0.5, first))
    rows = [["planted cues", *(", ".join(notes[n]) for n in networks), ""]]
    for name, found in wins.items():
        row, means = [name], []
        for network in networks:
            if network in found:
                win, first = np.mean(found[network], axis=0)
                means.append(win)
                row.append(f"{win:.2f} ({first:.1f})")
            else:
                row.append("")
        rows.append([*row, f"{np.mean(means):.2f}"])
    return f"order of {title}", rows, ["order", *networks, "mean"]


def mixtures_part(networks: Mapping[str, Cells], seeds: int) -> Table:
    """Return a table of how well the gain in purity, and objects, recognise mixtures."""
    measured = []
    for network, cells in networks.items():
        name = network.partition(":")[0]
        if name == "isic":
            continue
        features = sampled(training(cells))
        for seed in range(seeds):
            clusters = cluster_cells(features, automatic(features), seed=seed)
            cues = cues_of(cells, clusters, seed=seed)
            measured += [
                (is_mixture, gain(cues, node), *inside_difference(cues, node))
                for node, is_mixture in mixtures(name, cells, cues)
            ]
    mixed, gains, differences, known = map(np.array, zip(*measured, strict=True))
    calls = {
        f"gain in purity >= {level}": gains >= level for level in (0.01, 0.02, 0.03, 0.04, 0.06)
    }
    for fewest in (1, 5, 10):
        for level in (0.2, 0.3, 0.4, 0.5):
            title = f"difference inside >= {level}, in at least {fewest} images each"
            calls[title] = (differences >= level) & (known >= fewest)
    rows = []
    for title, called in calls.items():
        hits = (called & mixed).sum()
        shares = called.mean(), hits / mixed.sum(), hits / max(called.sum(), 1)
        rows.append([title, *(f"{share:.0%}" for share in shares)])
    title = f"mixtures: {mixed.sum()} of {len(mixed)} nodes"
    return title, rows, ["rule", "called a mixture", "of the mixtures", "of those called"]


def mixtures(name: str, cells: Cells, cues: Cues) -> list[tuple[str, bool]]:
    """Return each node that holds 1% of the evidence, and whether a split parts the shortcut."""
    planted, _, every = planted_share(name, cells, cues)

    def share(node: str) -> float:
        members = cues.tree.members(node)
        return planted[members].sum() / max(every[members].sum(), 1e-9)

    found = []
    for node in every_node(cues):
        if every[cues.tree.members(node)].sum() >= 0.01 * every.sum():
            first, second = map(share, cues.tree.halves_of(node))
            found.append((node, abs(first - second) >= MIXED))
    return found


def inside_difference(cues: Cues, node: str) -> tuple[float, int]:
    """Return the halves' difference in their share inside known objects, and in how many images."""
    halves = [cues.facts(half) for half in cues.tree.halves_of(node)]
    if any(half.inside is None for half in halves):
        return 0.0, 0
    fewest = min(cues._known_images(half.name) for half in halves)
    return abs(halves[0].inside - halves[1].inside), fewest


def every_node(cues: Cues) -> list[str]:
    """Return the names of the shown cues and of all below them, except single clusters."""
    found, waiting = [], list(cues.shown)
    while waiting:
        name = waiting.pop()
        if halves := cues.tree.halves_of(name):
            found.append(name)
            waiting += halves
    return found


def gain(cues: Cues, name: str) -> float:
    """Return what splitting a cue gains in purity."""
    halves = cues.tree.halves_of(name)
    counts = [cues.tree.clusters.counts[cues.tree.members(half)].sum() for half in halves]
    return float(np.average([cues.tree.purity(h) for h in halves], weights=counts)) - (
        cues.tree.purity(name)
    )


PARTS: dict[str, Callable[[Mapping[str, Cells], int], Table]] = {
    "shown": partial(order_part, title="shown cues", change=lambda cues: cues),
    "clusters": partial(order_part, title="clusters", change=all_clusters),
    "mixtures": mixtures_part,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, PARTS)
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    print(environment())
    networks = {}
    for network in chosen_networks(given, (*NETWORKS, *FRESH)):
        name, _, seed = network.partition(":")
        layer = LAYERS[name][0]
        networks[network] = read_cells(name, int(seed), layer, given.data_root, given.cache)
    for part in given.only.split(","):
        title, rows, header = PARTS[part](networks, 1 if given.quick else SEEDS)
        print(table(title, rows, header), flush=True)


if __name__ == "__main__":
    main()
