"""ProxyStore: which training examples stand as proxies, and the heatmap of each."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from proxy_keras.heatmaps.eight_bit import dequantise, quantise


class Shown(NamedTuple):
    """How the examples of one batch are shown.

    Attributes:
        is_proxy: [B] bool.
        heatmaps: [B, h, w] float32 in [0, 1]; zeros where an original is shown.
        thresholds: [B] float32, heat at or above which pixels are replaced; infinite where an
            original is shown.
        epoch: The epoch that the batch belongs to.
    """

    is_proxy: NDArray[np.bool_]
    heatmaps: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    epoch: np.int64


@dataclass(frozen=True)
class _Proxies:
    """One consistent state of the store; replaced as a whole, never changed in place."""

    positions: NDArray[np.int32]  # [K], sorted: positions of the examples among the training ids
    heatmaps: NDArray[np.uint8]  # [K, h, w], 255 stands for 1.0
    thresholds: NDArray[np.float32]  # [K]
    born: NDArray[np.int32]  # [K], the epoch at whose end each was made
    slot: NDArray[np.int32]  # [N], row of the example's proxy, or -1
    epoch: int
    is_visible: NDArray[np.bool_]  # [N], drawn anew each epoch


class ProxyStore:
    """Heatmaps of training examples by example id; a proxy replaces its original, never adds.

    Heatmaps, not images, are kept (in 8 bits, at the resolution of the target layer): 49 bytes for
    a 7x7 map, and the image is attenuated when it is read. Every change swaps in a new state at
    once, so a reader in another thread sees the old state or the new one, never a mixture.

    Args:
        example_ids: [N] the ids of the training split, unique. No other id can enter.
        seed: Keys the draws of `show`.

    Raises:
        ValueError: `example_ids` is empty or has an id twice.
    """

    def __init__(self, example_ids: Sequence[str], *, seed: int) -> None:
        self._position_of = {id_: position for position, id_ in enumerate(example_ids)}
        if not example_ids or len(self._position_of) != len(example_ids):
            raise ValueError(
                "A store needs unique training ids. Received: "
                f"{len(example_ids)} ids, {len(self._position_of)} of them different."
            )
        self._ids = list(example_ids)
        self._seed = seed
        self._last_opened: int | None = None
        self._is_begun = False
        self._openings = 0
        self._looked_up: dict[int, NDArray[np.int64]] = {}
        self._lock = threading.Lock()
        n = len(example_ids)
        self._state = _Proxies(
            positions=np.zeros([0], np.int32),
            heatmaps=np.zeros([0, 1, 1], np.uint8),
            thresholds=np.zeros([0], np.float32),
            born=np.zeros([0], np.int32),
            slot=np.full([n], -1, np.int32),
            epoch=0,
            is_visible=np.ones([n], bool),
        )

    def __len__(self) -> int:
        """The number of proxies held."""
        return len(self._state.positions)

    @property
    def example_ids(self) -> list[str]:
        """The ids of the examples that have a proxy."""
        return [self._ids[position] for position in self._state.positions]

    @property
    def epoch(self) -> int:
        """The current epoch, counted from 0."""
        return self._state.epoch

    @property
    def openings(self) -> int:
        """How often a pipeline was opened since `begin_epoch`."""
        return self._openings

    @property
    def looked_up(self) -> dict[int, NDArray[np.int64]]:
        """The positions of each batch looked up since `begin_epoch`, by the batch's number."""
        return self._looked_up

    def positions_of(self, example_ids: Sequence[str]) -> NDArray[np.int32]:
        """The positions of ids among the training ids: [n] int32.

        Raises:
            ValueError: An id is not a training id.
        """
        strangers = [id_ for id_ in example_ids if id_ not in self._position_of]
        if strangers:
            raise ValueError(
                f"{strangers[0]!r} is not a training id ({len(strangers)} such of "
                f"{len(example_ids)}). Proxies are made of training images only: pass ids of the "
                "train split."
            )
        return np.array([self._position_of[id_] for id_ in example_ids], np.int32)

    def put(
        self,
        example_ids: Sequence[str],
        heatmaps: NDArray[np.float32],
        thresholds: NDArray[np.float32],
        *,
        epoch: int,
    ) -> None:
        """Keeps one heatmap per id; an id that has one already gets the new one.

        Args:
            example_ids: [n] training ids, unique.
            heatmaps: [n, h, w] in [0, 1]; kept in steps of 1/255.
            thresholds: [n] heat at or above which the example's pixels are replaced.
            epoch: The epoch at whose end they were made.

        Raises:
            ValueError: An id is not a training id, is given twice, or a shape or value is wrong.
        """
        new = self.positions_of(example_ids)
        if len(set(new.tolist())) != len(new):
            raise ValueError("An example id was given twice in one `put`; give each once.")
        if heatmaps.ndim != 3 or len(heatmaps) != len(new) or thresholds.shape != new.shape:
            raise ValueError(
                f"`heatmaps` must be [{len(new)}, h, w] and `thresholds` [{len(new)}] for "
                f"{len(new)} ids. Received: {heatmaps.shape} and {thresholds.shape}"
            )
        if len(new) == 0:
            return
        if not (heatmaps.min() >= 0.0 and heatmaps.max() <= 1.0):
            raise ValueError(
                "`heatmaps` must be in [0, 1]. Received values from "
                f"{heatmaps.min()} to {heatmaps.max()}"
            )
        state = self._state
        if len(state.positions) and state.heatmaps.shape[1:] != heatmaps.shape[1:]:
            raise ValueError(
                f"The store holds maps of {state.heatmaps.shape[1:]} cells. Received: "
                f"{heatmaps.shape[1:]}. Call clear() before changing the target layer."
            )
        stays = ~np.isin(state.positions, new)
        positions = np.concatenate([state.positions[stays], new])
        order = np.argsort(positions)
        old_maps = state.heatmaps[stays].reshape([-1, *heatmaps.shape[1:]])
        self._replace(
            positions[order],
            np.concatenate([old_maps, quantise(heatmaps)])[order],
            np.concatenate([state.thresholds[stays], thresholds.astype(np.float32)])[order],
            np.concatenate([state.born[stays], np.full([len(new)], epoch, np.int32)])[order],
        )

    def clear(self) -> None:
        """Removes every proxy."""
        self._keep(np.zeros([len(self)], bool))

    def expire(self, *, born_before: int) -> None:
        """Removes the proxies made at the end of an epoch earlier than `born_before`."""
        self._keep(self._state.born >= born_before)

    def begin_epoch(self, epoch: int, *, show: float = 1.0) -> None:
        """Sets the epoch and draws which proxies are shown in it.

        Args:
            epoch: Counted from 0; keys the order of examples, `show` and the augmentation.
            show: Chance in [0, 1] that an example with a proxy is shown as its proxy. At 0 the
                proxies are kept and the originals are served (the control `proxies_off`).
        """
        draw = np.random.default_rng([self._seed, epoch]).random(len(self._ids))
        with self._lock:
            self._state = replace(self._state, epoch=epoch, is_visible=draw < show)
            self._is_begun = True
            self._openings = 0
            self._looked_up = {}

    def open_epoch(self) -> np.int64:
        """The epoch of a pipeline that is being opened.

        It is the one that `begin_epoch` set; opened again without a new `begin_epoch` (a training
        without a callback that drives the store), it is one more each time.
        """
        with self._lock:
            if not self._is_begun and self._last_opened is not None:
                self._state = replace(self._state, epoch=self._last_opened + 1)
            self._is_begun = False
            self._openings += 1
            self._last_opened = self._state.epoch
            return np.int64(self._state.epoch)

    def look_up(self, positions: NDArray[np.int64], batch: int = 0) -> Shown:
        """How the examples at positions [B], the epoch's batch of this number, are to be shown."""
        self._looked_up[int(batch)] = positions.copy()
        state = self._state
        slots = np.where(state.is_visible[positions], state.slot[positions], -1)
        is_proxy = slots >= 0
        heatmaps = np.zeros([len(positions), *state.heatmaps.shape[1:]], np.float32)
        heatmaps[is_proxy] = dequantise(state.heatmaps[slots[is_proxy]])
        thresholds = np.full([len(positions)], np.inf, np.float32)
        thresholds[is_proxy] = state.thresholds[slots[is_proxy]]
        return Shown(is_proxy, heatmaps, thresholds, np.int64(state.epoch))

    def get_state(self) -> dict[str, NDArray[np.generic]]:
        """The proxies as arrays, for a checkpoint."""
        state = self._state
        return {
            "positions": state.positions,
            "heatmaps": state.heatmaps,
            "thresholds": state.thresholds,
            "born": state.born,
        }

    def set_state(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Restores what `get_state` gave.

        Raises:
            ValueError: The arrays do not belong to a store of this many training ids.
        """
        positions = np.asarray(arrays["positions"], np.int32)
        if len(positions) and not 0 <= positions.min() <= positions.max() < len(self._ids):
            raise ValueError(
                f"The saved proxies name position {positions.max()}, but there are "
                f"{len(self._ids)} training ids. Use the data that the run was started with."
            )
        self._replace(
            positions,
            np.asarray(arrays["heatmaps"], np.uint8),
            np.asarray(arrays["thresholds"], np.float32),
            np.asarray(arrays["born"], np.int32),
        )

    def _keep(self, stays: NDArray[np.bool_]) -> None:
        state = self._state
        self._replace(
            state.positions[stays],
            state.heatmaps[stays],
            state.thresholds[stays],
            state.born[stays],
        )

    def _replace(
        self,
        positions: NDArray[np.int32],
        heatmaps: NDArray[np.uint8],
        thresholds: NDArray[np.float32],
        born: NDArray[np.int32],
    ) -> None:
        slot = np.full([len(self._ids)], -1, np.int32)
        slot[positions] = np.arange(len(positions), dtype=np.int32)
        with self._lock:
            self._state = replace(
                self._state,
                positions=positions,
                heatmaps=heatmaps,
                thresholds=thresholds,
                born=born,
                slot=slot,
            )
