"""Checkpoints from which training resumes to the same weights, bit for bit."""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.io.atomic_files import UNFINISHED, remove, write_atomically, write_text_atomically
from proxy_keras.io.csv_text import csv_text
from proxy_keras.proxy.callback import ProxyAttention
from proxy_keras.training.array_files import load_arrays, numbered, save_arrays
from proxy_keras.training.determinism import is_deterministic
from proxy_keras.training.heatmap_providers import FrozenTeacher, RefreshMaps
from proxy_keras.training.portable_model import save_portable
from proxy_keras.training.robust.method import RobustTraining
from proxy_keras.training.selected_epochs import SelectedEpochs
from proxy_keras.training.validation_counts import ValidationCounts

_OPTIONAL = ("maps", "robust")
"""Parts of a checkpoint that most runs lack."""


@dataclass(frozen=True)
class Checkpoint:
    """The complete state of a training run between two epochs.

    Attributes:
        epoch: Epochs completed.
        weights: The model's variables in order: weights, statistics, states of seed generators.
        optimizer: The optimizer's variables in order; loss scale included.
        proxies: Arrays of `ProxyAttention.get_state`; empty for plain training.
        rest: JSON values: state of the callback, history, counts per class and group, best value
            and selected epochs so far, wall-clock and CPU seconds of each epoch, those of `fit` so
            far, and whether each epoch was deterministic.
        maps: Arrays of `RefreshMaps.get_state`; empty without heatmaps for augmentation.
        robust: Arrays of `RobustTraining.get_state`; empty for most methods.
    """

    epoch: int
    weights: list[NDArray[np.generic]]
    optimizer: list[NDArray[np.generic]]
    proxies: dict[str, NDArray[np.generic]]
    rest: dict[str, Any]
    maps: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    robust: dict[str, NDArray[np.generic]] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write the checkpoint as a new folder."""
        folder.mkdir()
        save_arrays(folder / "weights.npz", numbered(self.weights))
        save_arrays(folder / "optimizer.npz", numbered(self.optimizer))
        save_arrays(folder / "proxies.npz", self.proxies)
        for name in _OPTIONAL:
            if arrays := getattr(self, name):
                save_arrays(folder / f"{name}.npz", arrays)
        state = {"epoch": self.epoch, **self.rest}
        (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Checkpoint:
        """Read what `save` wrote."""
        rest = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        return cls(
            rest.pop("epoch"),
            list(load_arrays(folder / "weights.npz").values()),
            list(load_arrays(folder / "optimizer.npz").values()),
            load_arrays(folder / "proxies.npz"),
            rest,
            **{
                name: load_arrays(folder / f"{name}.npz")
                for name in _OPTIONAL
                if (folder / f"{name}.npz").exists()
            },
        )

    def restore(
        self,
        model: keras.Model,
        proxy: ProxyAttention | None,
        maps: RefreshMaps | FrozenTeacher | None = None,
        robust: RobustTraining[Any] | None = None,
    ) -> None:
        """Restore the state of a compiled model, its optimizer and the callbacks.

        Raises:
            ValueError: The model differs from the saved one.
        """
        if not model.optimizer.built:
            with model.distribute_strategy.scope():
                model.optimizer.build(model.trainable_variables)
        _assign("model", model.variables, self.weights)
        _assign("optimizer", model.optimizer.variables, self.optimizer)
        if proxy is not None:
            proxy.set_state(self.proxies, self.rest["proxy"])
        if maps is not None:
            maps.set_state(self.maps)
        if robust is not None and self.robust:
            robust.set_state(self.robust)


class CheckpointFolder:
    """The checkpoints of one run, `checkpoints/epoch_0007`; each is written aside and renamed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, run: Path) -> CheckpointFolder:
        """Return the checkpoints in a run folder."""
        return cls(run / "checkpoints")

    def epochs_done(self) -> int:
        """Return the epochs completed at the newest complete checkpoint; 0 without one."""
        complete = self._complete()
        return int(complete[-1].name.removeprefix("epoch_")) if complete else 0

    def latest(self) -> Checkpoint | None:
        """Read the newest complete checkpoint; None without one."""
        complete = self._complete()
        return Checkpoint.load(complete[-1]) if complete else None

    def add(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove the previous one and what a crash left unfinished."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"epoch_{checkpoint.epoch:04d}"
        if not path.exists():
            write_atomically(path, checkpoint.save)
        for old in self._complete()[:-1]:
            # Renamed first, so that a crash during removal leaves no partial checkpoint.
            aside = old.with_name(old.name + UNFINISHED)
            remove(aside)
            old.rename(aside)
        for aside in self._folder.glob(f"*{UNFINISHED}"):
            remove(aside)

    def _complete(self) -> list[Path]:
        folders = self._folder.glob("epoch_*")
        return sorted(path for path in folders if re.fullmatch(r"epoch_\d+", path.name))


class RunCheckpoint(keras.callbacks.Callback):
    """A callback that writes history, best model and checkpoint. Must be the last callback.

    Args:
        run: The run folder: `history.csv`, `val_per_class.csv`, `val_per_group.csv`, `timing.csv`,
            `best.keras`, `selected/` and `checkpoints/`.
        proxy: The callback whose state belongs to the checkpoint; None: plain training.
        maps: The callback that makes heatmaps for augmentations; None: there is none.
        robust: What the method against spurious correlations adds; None: there is none.
        counts: The callback that counts correct predictions per class and group; None: there
            is none.
        monitor: The log whose highest value selects `best.keras`.

    Attributes:
        selected: The epochs that validation has selected by other logs.
    """

    def __init__(
        self,
        run: Path,
        proxy: ProxyAttention | None,
        maps: RefreshMaps | FrozenTeacher | None = None,
        *,
        robust: RobustTraining[Any] | None = None,
        counts: ValidationCounts | None = None,
        monitor: str = "val_accuracy",
    ) -> None:
        super().__init__()
        self._run = run
        self._proxy = proxy
        self._maps = maps
        self._robust = robust
        self._counts = counts
        self._monitor = monitor
        self.selected = SelectedEpochs(run)
        self._checkpoints = CheckpointFolder.of(run)
        self._best = -math.inf
        self._history: list[dict[str, float]] = []
        self._seconds: list[float] = []
        self._cpu_seconds: list[float] = []
        self._determinism: list[bool] = []
        self._fit_seconds = self._fit_began = 0.0
        self._began = self._cpu_began = 0.0

    @property
    def exists(self) -> bool:
        """Whether there is a checkpoint to resume from."""
        return self._checkpoints.epochs_done() > 0

    @property
    def seconds(self) -> list[float]:
        """Wall-clock seconds of each epoch, with proxy steps and validation."""
        return list(self._seconds)

    @property
    def cpu_seconds(self) -> list[float]:
        """CPU seconds of each epoch, of all threads; other processes do not change them."""
        return list(self._cpu_seconds)

    @property
    def fit_seconds(self) -> float:
        """Wall-clock seconds of `fit`: the epochs, and what is saved after each."""
        return self._fit_seconds

    @property
    def determinism(self) -> list[bool]:
        """Whether operations were deterministic, by epoch."""
        return list(self._determinism)

    def resume(self, model: keras.Model) -> int:
        """Restore the newest checkpoint, and return the number of completed epochs."""
        checkpoint = self._checkpoints.latest()
        if checkpoint is None:
            return 0
        checkpoint.restore(model, self._proxy, self._maps, self._robust)
        if self._counts is not None:
            # Runs started by older versions lack the counts of their first epochs.
            before = {"class": checkpoint.rest.get("val_per_class", [])}
            self._counts.set_state(checkpoint.rest.get("counts", before))
        self._best = checkpoint.rest["best"]
        # Older versions selected one epoch only.
        self.selected.set_state(checkpoint.rest.get("selected", {}))
        self._history = checkpoint.rest["history"]
        self._seconds = checkpoint.rest["seconds"]
        self._cpu_seconds = checkpoint.rest["cpu_seconds"]
        # Older versions did not record it.
        self._fit_seconds = checkpoint.rest.get("fit_seconds", sum(self._seconds))
        # Older versions always trained with determinism, and did not record it.
        self._determinism = checkpoint.rest.get("determinism", [True] * checkpoint.epoch)
        return checkpoint.epoch

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start timing `fit`, as if it had begun before an interruption."""
        self._fit_began = time.perf_counter() - self._fit_seconds

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Stop timing `fit`."""
        self._fit_seconds = time.perf_counter() - self._fit_began

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start timing the epoch."""
        self._began, self._cpu_began = time.perf_counter(), time.process_time()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write everything that resuming needs."""
        logs = {} if logs is None else logs
        self._history.append({"epoch": epoch + 1, **{k: float(v) for k, v in logs.items()}})
        self._seconds.append(time.perf_counter() - self._began)
        self._cpu_seconds.append(time.process_time() - self._cpu_began)
        self._determinism.append(is_deterministic())
        _write_csv(self._run / "history.csv", self._history)
        times = zip(self._seconds, self._cpu_seconds, strict=True)
        rows = [{"epoch": i, "seconds": s, "cpu_seconds": c} for i, (s, c) in enumerate(times, 1)]
        _write_csv(self._run / "timing.csv", rows)
        counts = self._counts
        if counts is not None:
            for kind, of_parts in counts.rows.items():
                _write_csv(self._run / f"val_per_{kind}.csv", of_parts)
        if logs[self._monitor] > self._best:
            self._best = float(logs[self._monitor])
            save_portable(self.model, self._run / "best.keras")
        self.selected.update(epoch + 1, logs, self.model)
        proxies, proxy = ({}, {}) if self._proxy is None else self._proxy.get_state()
        self._checkpoints.add(
            Checkpoint(
                epoch + 1,
                [_array(v) for v in self.model.variables],
                [_array(v) for v in self.model.optimizer.variables],
                proxies,
                {
                    "proxy": proxy,
                    "best": self._best,
                    "history": self._history,
                    "counts": {} if counts is None else counts.get_state(),
                    "selected": self.selected.get_state(),
                    "seconds": self._seconds,
                    "cpu_seconds": self._cpu_seconds,
                    "fit_seconds": time.perf_counter() - self._fit_began,
                    "determinism": self._determinism,
                },
                {} if self._maps is None else self._maps.get_state(),
                {} if self._robust is None else self._robust.get_state(),
            )
        )
        self.selected.tidy()


def _array(variable: keras.Variable) -> NDArray[np.generic]:
    return np.asarray(keras.ops.convert_to_numpy(variable))


def _assign(what: str, variables: list[keras.Variable], arrays: list[NDArray[np.generic]]) -> None:
    shapes = [tuple(v.shape) for v in variables]
    saved = [a.shape for a in arrays]
    if shapes != saved:
        raise ValueError(
            f"The checkpoint is of another {what}: it has {len(saved)} variables, this one "
            f"{len(shapes)}, or their shapes differ. Resume with the settings and versions of the "
            "original run."
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    # 17 digits give back every float64 exactly, so that histories can be compared bit for bit.
    write_text_atomically(path, csv_text(rows, ".17g"))
