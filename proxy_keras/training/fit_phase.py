"""Phases of training beside the main one: the warm-up of the head, and those of some methods."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from proxy_keras.data import ImageData
from proxy_keras.distribution import Team
from proxy_keras.models import freeze_backbone, unfreeze
from proxy_keras.settings import TrainConfig
from proxy_keras.training.count_epochs import CountEpochs
from proxy_keras.training.fit_input import FitInput
from proxy_keras.training.fitting import compile_model


def fit_phase(
    model: keras.Model,
    data: ImageData,
    fit_input: FitInput,
    team: Team,
    *,
    epochs: int,
    first: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int,
) -> None:
    """Train a compiled model for some epochs that leave no checkpoint.

    Args:
        model: The network.
        data: The images.
        fit_input: What it is trained with.
        team: The devices that train.
        epochs: Number of epochs.
        first: Offset of the epochs, which key the order of the images, see `CountEpochs`.
        callbacks: Further callbacks, which come first.
        verbose: That of `fit`.
    """
    with team.training(model) as before, fit_input.accepted_by(model):
        model.fit(
            fit_input.training(),
            validation_data=fit_input.validation(),
            epochs=epochs,
            verbose=verbose,
            shuffle=False,
            callbacks=[
                *before,
                *callbacks,
                CountEpochs(data.train, first=first),
                *fit_input.callbacks(),
            ],
        )


def train_head(
    model: keras.Model,
    config: TrainConfig,
    data: ImageData,
    fit_input: FitInput,
    team: Team,
    *,
    callbacks: Sequence[keras.callbacks.Callback],
    verbose: int,
) -> None:
    """Train only the head, for `head_epochs`: the warm-up of a pretrained network."""
    if config.head_epochs == 0:
        return
    freeze_backbone(model)
    with team.scope():
        compile_model(model, config, config.head_epochs, len(data.train))
    fit_phase(
        model,
        data,
        fit_input,
        team,
        epochs=config.head_epochs,
        first=config.epochs,
        callbacks=callbacks,
        verbose=verbose,
    )
    if config.freeze:
        freeze_backbone(model, before=config.first_trained)
    else:
        unfreeze(model)
