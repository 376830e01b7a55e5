"""`jtt`: a short training whose errors are upweighted in that of the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.distribution import Team
from proxy_keras.io.atomic_files import write_text_atomically
from proxy_keras.robust.jtt import error_set, upweighted
from proxy_keras.settings import TrainConfig
from proxy_keras.settings.robust import JustTrainTwice
from proxy_keras.training.fit_input import FitInput
from proxy_keras.training.fit_phase import fit_phase
from proxy_keras.training.fitting import compile_model, optimizer_steps
from proxy_keras.training.robust.method import RobustTraining

ERROR_SET = "error_set.json"
"""File of the run folder: the errors of the first training, and what it took."""


class JttTraining(RobustTraining[JustTrainTwice]):
    """Just Train Twice. The first training starts from the same weights as the second."""

    def begin(
        self, model: keras.Model, config: TrainConfig, fit_input: FitInput, *, verbose: int
    ) -> None:
        """Train for some epochs, write the error set, and restore the weights."""
        if self._path.exists():
            return  # The run was interrupted between the first training and its own first epoch.
        train = self._data.train
        with self._timed():
            start = [np.array(keras.ops.convert_to_numpy(one)) for one in model.variables]
            compile_model(model, config, self._method.epochs, len(train))
            fit_phase(
                model,
                self._data,
                fit_input,
                Team(),
                epochs=self._method.epochs,
                # Not the order of the second training, nor that of the warm-up.
                first=config.epochs + config.head_epochs,
                verbose=verbose,
            )
            is_error = error_set(fit_input.logits(model, train), train.labels)
            for variable, value in zip(model.variables, start, strict=True):
                variable.assign(value)
        found = {
            "example_ids": [train.example_ids[at] for at in np.flatnonzero(is_error)],
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "optimizer_steps": optimizer_steps(config, self._method.epochs, len(train)),
        }
        write_text_atomically(self._path, json.dumps(found, indent=2) + "\n")
        if self._verbose:
            print(_summary(int(is_error.sum()), len(train)))

    def attach(self, fit_input: FitInput) -> None:
        """Weight the training examples."""
        found = json.loads(self._path.read_text(encoding="utf-8"))
        is_error = self._is_error(found)
        fit_input.weights = upweighted(is_error, self._method.weight)
        self.seconds, self.cpu_seconds = found["seconds"], found["cpu_seconds"]
        self.optimizer_steps = found["optimizer_steps"]
        self.facts = {"upweighted": int(is_error.sum())}

    def _is_error(self, found: dict[str, Any]) -> NDArray[np.bool_]:
        return np.isin(self._data.train.example_ids, found["example_ids"])

    @property
    def _path(self) -> Path:
        return self._folder / ERROR_SET


def _summary(errors: int, images: int) -> str:
    if errors == 0:
        return (
            "jtt: the first training made no errors on the training images, so nothing is "
            "upweighted. Use fewer of its epochs."
        )
    return f"jtt: {errors} of {images} training images are upweighted: {ERROR_SET}"
