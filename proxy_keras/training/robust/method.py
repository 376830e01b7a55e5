"""RobustTraining: what a method against spurious correlations adds to a training run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.data import ImageData
from proxy_keras.distribution import Team
from proxy_keras.settings import TrainConfig
from proxy_keras.settings.robust import RobustMethod
from proxy_keras.training.fit_input import FitInput
from proxy_keras.training.stored_features import make_input

M = TypeVar("M", bound=RobustMethod | None)


class RobustTraining(Generic[M]):
    """Base class of the methods; by itself, it adds nothing.

    Args:
        method: The method with its options; None: none.
        config: The settings of the run; "auto" can be unresolved.
        data: The images.
        folder: The run folder.
        verbose: 0: silent.

    Attributes:
        changes_last_epoch: Whether `finish` changes the network. Earlier epochs are then no
            candidates for selection: they lack what the method does.
        seconds: Wall-clock time of what the method does beside the epochs of the run.
        cpu_seconds: CPU time of it.
        optimizer_steps: Steps that it takes beside those of the run.
        facts: What it reports in `metrics.json`, as JSON values.

    Raises:
        ValueError: The data lack what the method must be told.
    """

    changes_last_epoch: ClassVar[bool] = False

    def __init__(
        self, method: M, config: TrainConfig, data: ImageData, folder: Path, *, verbose: int
    ) -> None:
        self._method = method
        self._text = config.robust
        self._data = data
        self._folder = folder
        self._verbose = verbose
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.optimizer_steps = 0
        self.facts: dict[str, Any] = {}

    @classmethod
    def check_source(cls, config: TrainConfig) -> None:
        """Check, before the data are read, that they can have what the method must be told.

        Raises:
            ValueError: They cannot.
        """

    def check_model(self, model: keras.Model) -> None:
        """Check that the method can be used with a network.

        Raises:
            ValueError: It cannot.
        """

    def make_input(self, model: keras.Model, config: TrainConfig, team: Team) -> FitInput:
        """Return what `fit` trains the network with.

        Args:
            model: The network, with its frozen layers.
            config: The settings of the run.
            team: The devices that train.
        """
        return make_input(config, self._data, model, team, verbose=self._verbose)

    def begin(
        self, model: keras.Model, config: TrainConfig, fit_input: FitInput, *, verbose: int
    ) -> None:
        """Do what comes before the first epoch of a run that has no checkpoint yet.

        Arguments are those of `finish`; the network is not compiled.
        """

    def attach(self, fit_input: FitInput) -> None:
        """Change what the network is trained with, in the first and in a resumed process."""

    def get_state(self) -> dict[str, NDArray[np.generic]]:
        """Return what changes while training, as arrays for a checkpoint between epochs."""
        return {}

    def set_state(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Restore what `get_state` returned."""

    def finish(
        self, model: keras.Model, config: TrainConfig, fit_input: FitInput, *, verbose: int
    ) -> None:
        """Change the network after the last epoch.

        Args:
            model: The network, compiled.
            config: The settings of the run.
            fit_input: What it was trained with.
            verbose: That of `fit`.
        """

    def report(self) -> dict[str, Any]:
        """Return what `metrics.json` says of the method; empty without one."""
        if self._method is None:
            return {}
        return {
            "robust": {
                "method": self._text,
                "seconds": self.seconds,
                "cpu_seconds": self.cpu_seconds,
                "optimizer_steps": self.optimizer_steps,
                **self.facts,
            }
        }

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Add the time that the block takes."""
        began, cpu_began = time.perf_counter(), time.process_time()
        yield
        self.seconds += time.perf_counter() - began
        self.cpu_seconds += time.process_time() - cpu_began
