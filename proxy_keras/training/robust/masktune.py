"""`masktune`: one more epoch, on images without what the best network looked at."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from proxy_keras.attribution import Explainer
from proxy_keras.data.proxy_maker import Attenuation
from proxy_keras.distribution import Team
from proxy_keras.heatmaps.eight_bit import NEVER_HOT, dequantise
from proxy_keras.heatmaps.scaling import enlarge
from proxy_keras.io.saved_model import open_saved
from proxy_keras.proxy.proxy_step import explain_originals
from proxy_keras.robust.masktune import heat_thresholds
from proxy_keras.settings import TrainConfig
from proxy_keras.settings.robust import MaskTune
from proxy_keras.training.fit_input import FitInput
from proxy_keras.training.fit_phase import fit_phase
from proxy_keras.training.fitting import optimizer_steps
from proxy_keras.training.robust.method import RobustTraining


class MaskTuneTraining(RobustTraining[MaskTune]):
    """MaskTune. The optimizer goes on with its state, at another learning rate."""

    changes_last_epoch = True

    def finish(
        self, model: keras.Model, config: TrainConfig, fit_input: FitInput, *, verbose: int
    ) -> None:
        """Mask the training images, and train on them for an epoch."""
        train = self._data.train
        with self._timed():
            positions = np.arange(len(train))
            best = open_saved(self._folder / "best.keras").model
            heatmaps = explain_originals(
                train,
                Explainer(best, "grad_cam", explain="true"),
                positions,
                batch_size=int(config.batch_size),
                desc="heatmaps to mask",
                verbose=self._verbose,
            )
            thresholds, shares = self._masks(heatmaps)
            train.attenuation = Attenuation(replacement="black")
            train.store.put(positions, heatmaps, thresholds, epoch=config.epochs - 1)
            _set_learning_rate(model, float(self._method.lr or config.lr))
            fit_phase(
                model,
                self._data,
                fit_input,
                Team(),
                epochs=1,
                first=config.epochs + config.head_epochs,
                verbose=verbose,
            )
        self.optimizer_steps = optimizer_steps(config, 1, len(train))
        self.facts = {"masked": int((shares > 0.0).sum()), "masked_share": float(shares.mean())}

    def _masks(
        self, heatmaps: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the heat [N] from which pixels are masked, and the share [N] of such pixels."""
        side, rows = self._data.image_size, 256
        thresholds = np.empty([len(heatmaps)], np.float32)
        shares = np.empty([len(heatmaps)])
        for at in range(0, len(heatmaps), rows):
            part = slice(at, at + rows)
            pixels = enlarge(dequantise(heatmaps[part]), (side, side)).numpy()
            above = np.nextafter(heat_thresholds(pixels), np.float32(np.inf))
            thresholds[part] = np.minimum(above, np.float32(NEVER_HOT))
            shares[part] = (pixels >= thresholds[part, np.newaxis, np.newaxis]).mean(axis=(1, 2))
        return thresholds, shares


def _set_learning_rate(model: keras.Model, lr: float) -> None:
    """Train a compiled model with a constant learning rate from now on."""
    # A schedule can only be replaced by another one.
    model.optimizer.learning_rate = keras.optimizers.schedules.ExponentialDecay(lr, 1, 1.0)
    model.train_function = None
