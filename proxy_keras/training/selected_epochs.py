"""The epochs that validation selects, and the weights after them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras

from proxy_keras.io.atomic_files import remove, write_atomically
from proxy_keras.training.array_files import load_arrays, numbered, save_arrays
from proxy_keras.training.selections import SELECTIONS


@dataclass(frozen=True)
class SelectedEpoch:
    """An epoch that validation has selected.

    Attributes:
        epoch: Its number, from 1; the first one of equals.
        value: The value of the log after it.
    """

    epoch: int
    value: float


class SelectedEpochs:
    """The best epochs so far by each of `SELECTIONS`, and the weights after them, as files.

    Args:
        run: The run folder, which gets `selected/epoch_0007.npz`.
    """

    def __init__(self, run: Path) -> None:
        self._folder = run / "selected"
        self._best: dict[str, SelectedEpoch] = {}

    def get_state(self) -> dict[str, dict[str, Any]]:
        """Return the selected epochs as JSON values."""
        return {name: asdict(one) for name, one in self._best.items()}

    def set_state(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Restore the state from `get_state`."""
        self._best = {name: SelectedEpoch(**one) for name, one in state.items()}

    @property
    def epochs(self) -> dict[str, SelectedEpoch]:
        """The selected epochs by selection; without those whose log does not exist."""
        return dict(self._best)

    def update(self, epoch: int, logs: Mapping[str, float], model: keras.Model) -> None:
        """Take note of an epoch, from 1, and write its weights if it is selected."""
        better = {
            name: SelectedEpoch(epoch, float(logs[log]))
            for name, log in SELECTIONS.items()
            if log in logs and (name not in self._best or logs[log] > self._best[name].value)
        }
        if better:
            self._best |= better
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file(epoch), partial(_save, model))

    def tidy(self) -> None:
        """Remove the weights of epochs that are no longer selected.

        Call it once the state is saved, so that a crash leaves the files that the state needs.
        """
        kept = {self._file(one.epoch) for one in self._best.values()}
        for file in set(self._folder.glob("epoch_*")) - kept:
            remove(file)

    @contextmanager
    def weights_of(self, epoch: int, model: keras.Model) -> Iterator[None]:
        """Give a model the weights after a selected epoch, for the time of the block."""
        before = [weight.numpy() for weight in model.weights]
        _assign(model, list(load_arrays(self._file(epoch)).values()))
        try:
            yield
        finally:
            _assign(model, before)

    def _file(self, epoch: int) -> Path:
        return self._folder / f"epoch_{epoch:04d}.npz"


def _save(model: keras.Model, path: Path) -> None:
    save_arrays(path, numbered([weight.numpy() for weight in model.weights]))


def _assign(model: keras.Model, arrays: list[Any]) -> None:
    for weight, array in zip(model.weights, arrays, strict=True):
        weight.assign(array)
