"""What a recipe gives to `fit`: a compiled model and batches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from proxy_keras.augment import Augmentation, Compose, Curriculum, FlipAndRotate, adapt
from proxy_keras.augment import parse as parse_augmentation
from proxy_keras.augment.batch_layer import BatchLayer
from proxy_keras.augment.compose import needs_maps
from proxy_keras.augment.manifold_mixup import LatentMixing, ManifoldMixup
from proxy_keras.augment.snapmix import cross_entropy_of_shares
from proxy_keras.data.data_split import Subset
from proxy_keras.data.train_split import TrainSubset
from proxy_keras.distribution import Team
from proxy_keras.settings import TrainConfig
from proxy_keras.training.map_refresh import FrozenTeacher, RefreshMaps, map_callback
from proxy_keras.training.optimizer import make_optimizer


def compile_model(model: keras.Model, config: TrainConfig, epochs: int, examples: int) -> None:
    """Compiles a model for a training of some epochs with some examples each."""
    model.compile(
        make_optimizer(
            lr=float(config.lr),
            weight_decay=config.weight_decay,
            total_steps=optimizer_steps(config, epochs, examples),
            one_cycle=config.one_cycle,
        ),
        # Augmentations mix labels, which are then shares of the classes.
        cross_entropy_of_shares
        if config.augment
        else keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def optimizer_steps(config: TrainConfig, epochs: int, examples: int) -> int:
    """How often the weights change in a training; the last batch of an epoch may be smaller."""
    return epochs * -(-examples // int(config.batch_size))


def training_batches(config: TrainConfig, data: TrainSubset, team: Team | None = None) -> Any:
    """The training split as the recipe batches and augments it, cut among the replicas."""
    make = partial(data.batches, augment=augmentation(config, data))
    return _batches(config, make, int(config.batch_size), len(data), team or Team())


def validation_batches(config: TrainConfig, data: Subset, team: Team | None = None) -> Any:
    """A split to be evaluated beside a training, its labels as the recipe has them."""
    team = team or Team()
    batch_size = team.evaluation_batch_size(len(data), int(config.batch_size))
    return _batches(config, data.batches, batch_size, len(data), team)


def _batches(
    config: TrainConfig,
    make: Callable[..., tf.data.Dataset],
    batch_size: int,
    examples: int,
    team: Team,
) -> Any:
    make = partial(make, batch_size, one_hot=bool(config.augment))
    return team.distribute(make, -(-examples // batch_size))


def augmentation(config: TrainConfig, data: TrainSubset | None = None) -> Augmentation:
    """The random changes to training images that the recipe asks for, but `mixing_inside`.

    Args:
        config: The settings.
        data: The training split, which is read where an augmentation must know its mean colour;
            None: only the settings are checked.

    Raises:
        ValueError: A name or an option of `augment` is unknown, there are no heatmaps for what
            needs them, a curriculum goes by the loss, or manifold_mixup is wrapped or there twice.
    """
    geometry = FlipAndRotate(config.flip, config.rotation)
    if not config.augment:
        return geometry
    layers = [parse_augmentation(text) for text in config.augment]
    if data is not None:
        adapt(layers, data)
    for text, layer in zip(config.augment, layers, strict=True):
        if needs_maps(layer) and config.augment_maps is None:
            raise ValueError(
                f"{text} needs heatmaps. Say where they come from: --aug-maps self:3, the network "
                "itself every third epoch, or a trained one, a run folder or FILE.keras."
            )
        if isinstance(layer, Curriculum) and layer.shape == "loss":
            raise ValueError(
                f"{text} goes by the loss, of which only a CurriculumClock tells it, in Python. "
                "Use shape=linear, cosine or step."
            )
        if _wraps_manifold_mixup(layer):
            raise ValueError(
                f"{text}: manifold_mixup mixes inside the network, where nothing else reaches it. "
                "Give it by itself; its `probability` says how many steps it mixes."
            )
    others = [one for one in layers if not isinstance(one, ManifoldMixup)]
    if len(layers) - len(others) > 1:
        raise ValueError(
            "manifold_mixup can be given once. Name several layers in one: "
            "manifold_mixup:layers=('input','...')."
        )
    return Compose([geometry, *others])


def _wraps_manifold_mixup(layer: BatchLayer) -> bool:
    inner = layer.wrapped
    return inner is not None and (isinstance(inner, ManifoldMixup) or _wraps_manifold_mixup(inner))


def map_provider(
    config: TrainConfig, data: TrainSubset, model: keras.Model, *, verbose: int, team: Team
) -> RefreshMaps | FrozenTeacher | None:
    """The callback that provides the recipe's augmentations with heatmaps; None: they need none.

    Raises:
        ValueError, OSError: The model, or the teacher, cannot provide them.
    """
    if config.augment_maps is None or not needs_maps(augmentation(config)):
        return None
    size = int(config.batch_size)
    maps = map_callback(config.augment_maps, data, batch_size=size, verbose=verbose, team=team)
    maps.prepare(model)
    return maps


def mixing_inside(config: TrainConfig) -> list[LatentMixing]:
    """The callbacks that mix batches inside the network, for the recipe's `manifold_mixup`."""
    layers = map(parse_augmentation, config.augment)
    return [one.callback(config.seed) for one in layers if isinstance(one, ManifoldMixup)]
