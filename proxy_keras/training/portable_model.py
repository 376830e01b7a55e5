"""Saved models that Keras opens without this project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from proxy_keras.io.atomic_files import write_atomically
from proxy_keras.training.one_cycle import OneCycle

_ONE_CYCLE = "proxy_keras>OneCycle"
_SHARES = {"class_name": "function", "config": "proxy_keras>cross_entropy_of_shares"}


def save_portable(model: keras.Model, path: Path) -> None:
    """Save a compiled model as a `.keras` file that needs no code of this project.

    `keras.models.load_model` opens it, compiled, with the optimizer's state, in a process that has
    imported nothing else. Objects of this project are replaced with the closest built-in ones: one
    cycle with `CosineDecay` of the same start, peak and end (its warm-up is linear), and the loss
    for mixed labels with `CategoricalCrossentropy`, which is equal if labels sum to 1. The networks
    of `build_model` consist of Keras layers, and augmentations of a training run change batches, so
    that no layer of this project is saved.

    Args:
        model: The model. Not modified.
        path: The file; replaced atomically.
    """
    config = _portable(model.get_compile_config())
    model.get_compile_config = lambda: config
    try:
        write_atomically(path, model.save)
    finally:
        del model.get_compile_config


def _portable(config: Any) -> Any:
    """Return a serialised object with all objects of this project replaced, at any depth."""
    if isinstance(config, list | tuple):
        return [_portable(item) for item in config]
    if not isinstance(config, dict):
        return config
    if config.get("registered_name") == _ONE_CYCLE:
        return keras.saving.serialize_keras_object(OneCycle(**config["config"]).to_cosine_decay())
    if config.items() >= _SHARES.items():
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        return keras.saving.serialize_keras_object(loss)
    return {name: _portable(value) for name, value in config.items()}
