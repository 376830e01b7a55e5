"""Selection of training images for proxies: candidates by rule, then a share of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from proxy_keras.graph.probabilities import cross_entropies, probabilities_of

Share = float | Callable[[int], float]
"""A share in (0, 1], or a callable from the epoch (counted from 0) to one."""


def is_wrong(logits: NDArray[np.float32], labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which examples are misclassified: [N] bool, from logits [N, K] and class ids [N]."""
    return np.argmax(logits, axis=1) != labels


def choose(
    select: str,
    subset: Share,
    logits: NDArray[np.float32],
    labels: NDArray[np.int32],
    *,
    seed: int,
    epoch: int,
    is_multi_label: bool = False,
) -> NDArray[np.int64]:
    """Return the ascending positions of the examples that get a proxy.

    Args:
        select: `wrong`: a random draw of the misclassified (the thesis). `loss`: the highest
            cross-entropy first. `margin`: the smallest difference between the two highest
            probabilities first. `random`: a random draw of all, as many as for `wrong` (a
            control). `all`: a random draw of all.
        subset: The share of the candidates to take, at least one if there are any.
        logits: [N, K] float32.
        labels: [N] class ids.
        seed: Seeds the draw together with `epoch`.
        epoch: Counted from 0.
        is_multi_label: Whether each class has a probability of its own, from a sigmoid.

    Raises:
        ValueError: The share is not in (0, 1].
    """
    share = float(subset(epoch)) if callable(subset) else float(subset)
    if not 0.0 < share <= 1.0:
        raise ValueError(f"`subset` must be in (0, 1]. Received: {share} at epoch {epoch}")
    wrong = np.flatnonzero(is_wrong(logits, labels))
    everyone = np.arange(len(labels))
    if select in ("loss", "margin"):
        order = (
            _by_loss(logits, labels, is_multi_label)
            if select == "loss"
            else _by_margin(logits, is_multi_label)
        )
        return np.sort(order[: _count(share, len(order))])
    candidates = {"wrong": wrong, "random": everyone, "all": everyone}[select]
    count = _count(share, len(wrong) if select == "random" else len(candidates))
    draw = np.random.default_rng([seed, epoch, 2])
    return np.sort(draw.choice(candidates, count, replace=False)).astype(np.int64)


def _count(share: float, candidates: int) -> int:
    return min(candidates, max(1, round(share * candidates)))


def _by_loss(
    logits: NDArray[np.float32], labels: NDArray[np.int32], is_multi_label: bool
) -> NDArray[np.int64]:
    losses = cross_entropies(logits, labels, is_multi_label=is_multi_label)
    return np.argsort(-losses, kind="stable")


def _by_margin(logits: NDArray[np.float32], is_multi_label: bool) -> NDArray[np.int64]:
    top = np.sort(probabilities_of(logits, is_multi_label=is_multi_label), axis=1)
    return np.argsort(top[:, -1] - top[:, -2], kind="stable")
