"""ProxyStore: which training examples stand as proxies, and the heatmap of each."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from proxy_keras.heatmaps.eight_bit import NEVER_HOT, dequantise


class Shown(NamedTuple):
    """How the examples of one batch are shown.

    Attributes:
        is_proxy: [B] bool.
        heatmaps: [B, h, w] float32 in [0, 1]; zeros where an original is shown.
        thresholds: [B] float32, heat at or above which pixels are replaced; `NEVER_HOT` where an
            original is shown.
        stays_original: [B] bool: the example has a proxy, but its original is shown.
    """

    is_proxy: NDArray[np.bool_]
    heatmaps: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    stays_original: NDArray[np.bool_]


class KeptProxies(NamedTuple):
    """Examples that have a proxy.

    Attributes:
        positions: [n] int64, ascending.
        heatmaps: [n, h, w] uint8; 255 stands for 1.0.
        thresholds: [n] float32.
        newest: The epoch at whose end the newest proxy of the store was made.
    """

    positions: NDArray[np.int64]
    heatmaps: NDArray[np.uint8]
    thresholds: NDArray[np.float32]
    newest: int


@dataclass(frozen=True)
class _Proxies:
    """One consistent state of the store; replaced as a whole, never changed in place."""

    positions: NDArray[np.int32]  # [K], sorted: positions of the examples in the split
    heatmaps: NDArray[np.uint8]  # [K, h, w], 255 stands for 1.0
    thresholds: NDArray[np.float32]  # [K]
    born: NDArray[np.int32]  # [K], the epoch at whose end each was made
    chances: NDArray[np.float32]  # [K], of being shown, in place of `show`; NaN: `show`
    slot: NDArray[np.int32]  # [N], row of the example's proxy, or -1
    is_visible: NDArray[np.bool_]  # [N], drawn anew each epoch


class ProxyStore:
    """Heatmaps of training examples by position; a proxy replaces its original, never adds.

    Heatmaps, not images, are kept (in 8 bits, at the resolution of the target layer): 49 bytes for
    a 7x7 map. The image is attenuated when it is read. Every change swaps in a new state at once,
    so a reader in another thread sees the old state or the new one, never a mixture.

    Args:
        count: Examples of the training split, N >= 1.
        seed: Keys the draws of `show`.
    """

    def __init__(self, count: int, *, seed: int) -> None:
        self._count = count
        self._seed = seed
        self._lock = threading.Lock()
        self._state = _Proxies(
            positions=np.zeros([0], np.int32),
            heatmaps=np.zeros([0, 1, 1], np.uint8),
            thresholds=np.zeros([0], np.float32),
            born=np.zeros([0], np.int32),
            chances=np.zeros([0], np.float32),
            slot=np.full([count], -1, np.int32),
            is_visible=np.ones([count], bool),
        )

    def __len__(self) -> int:
        """Return the number of proxies."""
        return len(self._state.positions)

    @property
    def positions(self) -> NDArray[np.int32]:
        """Positions [K] of the examples that have a proxy, ascending."""
        return self._state.positions

    def put(
        self,
        positions: NDArray[np.int64],
        heatmaps: NDArray[np.uint8],
        thresholds: NDArray[np.float32],
        *,
        epoch: int,
        chances: NDArray[np.float32] | None = None,
    ) -> None:
        """Keep one heatmap per example; an example that has one already gets the new one.

        Args:
            positions: [n] positions in the training split, each once.
            heatmaps: [n, h, w] uint8; 255 stands for 1.0.
            thresholds: [n] heat at or above which the example's pixels are replaced.
            epoch: The epoch at whose end they were made; -1: before the first.
            chances: [n] in [0, 1], how often each is shown, in place of `show` of `draw_shown`;
                NaN, or None for all: as often as `show` says.

        Raises:
            ValueError: A position is not in the split or is given twice, or a shape or dtype is
                wrong.
        """
        new = self._checked(positions)
        if (
            heatmaps.ndim != 3
            or heatmaps.dtype != np.uint8
            or len(heatmaps) != len(new)
            or thresholds.shape != new.shape
        ):
            raise ValueError(
                f"`heatmaps` must be [{len(new)}, h, w] uint8 and `thresholds` [{len(new)}] for "
                f"{len(new)} positions. Received: {heatmaps.shape} {heatmaps.dtype} and "
                f"{thresholds.shape}"
            )
        if len(new) == 0:
            return
        state = self._state
        if len(state.positions) and state.heatmaps.shape[1:] != heatmaps.shape[1:]:
            raise ValueError(
                f"The store holds maps of {state.heatmaps.shape[1:]} cells. Received: "
                f"{heatmaps.shape[1:]}. Call clear() before changing the target layer."
            )
        stays = ~np.isin(state.positions, new)
        merged = np.concatenate([state.positions[stays], new])
        order = np.argsort(merged)
        if chances is None:
            chances = np.full([len(new)], np.nan, np.float32)
        old_maps = state.heatmaps[stays].reshape([-1, *heatmaps.shape[1:]])
        self._replace(
            merged[order],
            np.concatenate([old_maps, heatmaps])[order],
            np.concatenate([state.thresholds[stays], thresholds.astype(np.float32)])[order],
            np.concatenate([state.born[stays], np.full([len(new)], epoch, np.int32)])[order],
            np.concatenate([state.chances[stays], chances.astype(np.float32)])[order],
        )

    def clear(self) -> None:
        """Remove every proxy."""
        self._keep(np.zeros([len(self)], bool))

    def expire(self, *, born_before: int) -> None:
        """Remove the proxies made at the end of an epoch earlier than `born_before`."""
        self._keep(self._state.born >= born_before)

    def draw_shown(self, epoch: int, *, show: float) -> None:
        """Draw which proxies are shown in an epoch.

        Args:
            epoch: Counted from 0; with the seed, keys the draw.
            show: Probability in [0, 1] that an example with a proxy is shown as its proxy. At 0
                the proxies are kept and the originals are shown (the control `proxies_off`).
        """
        draw = np.random.default_rng([self._seed, epoch]).random(self._count)
        with self._lock:
            state = self._state
            own = np.full([self._count], np.nan, np.float32)
            own[state.positions] = state.chances
            # `show` 0 hides all proxies, whatever their own chance.
            chances = np.where(np.isnan(own) | (show == 0.0), show, own)
            self._state = replace(self._state, is_visible=draw < chances)

    def look_up(self, positions: NDArray[np.int64]) -> Shown:
        """Return how the examples at positions [B] are to be shown."""
        state = self._state
        slots = np.where(state.is_visible[positions], state.slot[positions], -1)
        is_proxy = slots >= 0
        heatmaps = np.zeros([len(positions), *state.heatmaps.shape[1:]], np.float32)
        heatmaps[is_proxy] = dequantise(state.heatmaps[slots[is_proxy]])
        thresholds = np.full([len(positions)], NEVER_HOT, np.float32)
        thresholds[is_proxy] = state.thresholds[slots[is_proxy]]
        stays_original = ~is_proxy & (state.slot[positions] >= 0)
        return Shown(is_proxy, heatmaps, thresholds, stays_original)

    def kept(self) -> KeptProxies:
        """Return the examples that have a proxy."""
        state = self._state
        newest = int(state.born.max(initial=-1))
        positions = state.positions.astype(np.int64)
        return KeptProxies(positions, state.heatmaps, state.thresholds, newest)

    def masked(self) -> KeptProxies:
        """Return the examples whose proxy has a hot pixel."""
        positions, heatmaps, thresholds, newest = self.kept()
        hottest = heatmaps.max(axis=(1, 2), initial=0)
        rows = np.flatnonzero(dequantise(hottest) >= thresholds)
        return KeptProxies(positions[rows], heatmaps[rows], thresholds[rows], newest)

    def get_state(self) -> dict[str, NDArray[np.generic]]:
        """Return the proxies as arrays, for a checkpoint."""
        state = self._state
        return {
            "positions": state.positions,
            "heatmaps": state.heatmaps,
            "thresholds": state.thresholds,
            "born": state.born,
            "chances": state.chances,
        }

    def set_state(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Restore what `get_state` returned.

        Raises:
            ValueError: The arrays do not belong to a split of this many examples.
        """
        self._replace(
            self._checked(arrays["positions"]),
            np.asarray(arrays["heatmaps"], np.uint8),
            np.asarray(arrays["thresholds"], np.float32),
            np.asarray(arrays["born"], np.int32),
            np.asarray(arrays["chances"], np.float32),
        )

    def _checked(self, positions: NDArray[np.generic]) -> NDArray[np.int32]:
        checked = np.asarray(positions, np.int32)
        if len(checked) and not 0 <= checked.min() <= checked.max() < self._count:
            raise ValueError(
                f"Proxies are made of the {self._count} training images, at positions 0 to "
                f"{self._count - 1}. Received: positions {checked.min()} to {checked.max()}. Use "
                "the data that the run was started with."
            )
        if len(np.unique(checked)) != len(checked):
            raise ValueError("A position was given twice; give each once.")
        return checked

    def _keep(self, stays: NDArray[np.bool_]) -> None:
        state = self._state
        self._replace(
            state.positions[stays],
            state.heatmaps[stays],
            state.thresholds[stays],
            state.born[stays],
            state.chances[stays],
        )

    def _replace(
        self,
        positions: NDArray[np.int32],
        heatmaps: NDArray[np.uint8],
        thresholds: NDArray[np.float32],
        born: NDArray[np.int32],
        chances: NDArray[np.float32],
    ) -> None:
        slot = np.full([self._count], -1, np.int32)
        slot[positions] = np.arange(len(positions), dtype=np.int32)
        with self._lock:
            self._state = replace(
                self._state,
                positions=positions,
                heatmaps=heatmaps,
                thresholds=thresholds,
                born=born,
                chances=chances,
                slot=slot,
            )
