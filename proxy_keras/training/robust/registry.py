"""What a run's method against spurious correlations adds to it, by the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from proxy_keras.data import ImageData
from proxy_keras.settings import TrainConfig
from proxy_keras.settings.robust import (
    ClassBalanced,
    ClassWeighted,
    DeepFeatureReweighting,
    EnergyLoss,
    GroupDro,
    JustTrainTwice,
    MaskTune,
    RobustMethod,
)
from proxy_keras.training.robust.class_weighted import ClassWeightedTraining
from proxy_keras.training.robust.energy_loss import EnergyTraining
from proxy_keras.training.robust.group_dro import GroupDroTraining
from proxy_keras.training.robust.jtt import JttTraining
from proxy_keras.training.robust.last_layer import ClassBalancedTraining, DfrTraining
from proxy_keras.training.robust.masktune import MaskTuneTraining
from proxy_keras.training.robust.method import RobustTraining

_TRAININGS: dict[type[RobustMethod], type[RobustTraining[Any]]] = {
    ClassBalanced: ClassBalancedTraining,
    ClassWeighted: ClassWeightedTraining,
    DeepFeatureReweighting: DfrTraining,
    EnergyLoss: EnergyTraining,
    GroupDro: GroupDroTraining,
    JustTrainTwice: JttTraining,
    MaskTune: MaskTuneTraining,
}


def check_source(config: TrainConfig) -> None:
    """Check, before the data are read, that they can have what the method must be told.

    Raises:
        ValueError: They cannot.
    """
    _training(config).check_source(config)


def robust_training(
    config: TrainConfig, data: ImageData, folder: Path, *, verbose: int
) -> RobustTraining[Any]:
    """Return what the method of the settings adds to a run; without one, it adds nothing.

    Args:
        config: The settings of the run.
        data: The images.
        folder: The run folder.
        verbose: 0: silent.

    Raises:
        ValueError: The data lack what the method must be told.
    """
    return _training(config)(config.robust_method, config, data, folder, verbose=verbose)


def _training(config: TrainConfig) -> type[RobustTraining[Any]]:
    method = config.robust_method
    return RobustTraining if method is None else _TRAININGS[type(method)]
