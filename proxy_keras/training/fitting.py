"""Builds the compiled model and the batches for `fit`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from proxy_keras.augment import Augmentation, Compose, Curriculum, FlipAndRotate, adapt
from proxy_keras.augment.batch_layer import BatchLayer
from proxy_keras.augment.compose import needs_maps
from proxy_keras.augment.manifold_mixup import LatentMixing, ManifoldMixup
from proxy_keras.augment.registry import build
from proxy_keras.augment.snapmix import cross_entropy_of_shares
from proxy_keras.data.data_split import DataSplit
from proxy_keras.data.train_split import TrainSplit
from proxy_keras.distribution import Team
from proxy_keras.settings import TrainConfig
from proxy_keras.training.heatmap_providers import FrozenTeacher, RefreshMaps, map_callback
from proxy_keras.training.optimizer import make_optimizer


def compile_model(model: keras.Model, config: TrainConfig, epochs: int, examples: int) -> None:
    """Compile a model for a training run of some epochs with some examples each."""
    model.compile(
        make_optimizer(
            lr=float(config.lr),
            weight_decay=config.weight_decay,
            total_steps=optimizer_steps(config, epochs, examples),
            one_cycle=config.one_cycle,
        ),
        # Augmentations mix labels, so that they are shares of the classes.
        cross_entropy_of_shares
        if config.augment
        else keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    # A training step that has to create the optimizer's variables is traced twice.
    model.optimizer.build(model.trainable_variables)


def optimizer_steps(config: TrainConfig, epochs: int, examples: int) -> int:
    """Return the number of optimizer steps; the last batch of an epoch may be smaller."""
    return epochs * -(-examples // int(config.batch_size))


def training_batches(
    config: TrainConfig,
    data: TrainSplit,
    team: Team | None = None,
    *,
    weights: NDArray[np.float32] | None = None,
    also: Collection[str] = (),
    progress: bool = True,
) -> Any:
    """Return the augmented batches of the training split, divided among the replicas.

    Args:
        config: The settings.
        data: The training split.
        team: The replicas; None: one.
        weights: [N], of the examples in the loss; None: all count the same.
        also: What else the batches have, see `TrainSplit.batches`.
        progress: Whether to show a progress bar on a terminal while its mean colour is computed.
    """
    make = partial(
        data.batches,
        augment=augmentation(config, data, progress=progress),
        weights=weights,
        also=also,
    )
    return _batches(config, make, int(config.batch_size), len(data), team or Team())


def validation_batches(
    config: TrainConfig,
    data: DataSplit,
    team: Team | None = None,
    *,
    with_groups: bool = False,
) -> Any:
    """Return the batches of a split for validation, with labels in the form of training.

    `with_groups` adds the groups of the images, see `DataSplit.batches_with_groups`.
    """
    team = team or Team()
    batch_size = team.evaluation_batch_size(len(data), int(config.batch_size))
    make = data.batches_with_groups if with_groups else data.batches
    return _batches(config, make, batch_size, len(data), team)


def _batches(
    config: TrainConfig,
    make: Callable[..., tf.data.Dataset],
    batch_size: int,
    examples: int,
    team: Team,
) -> Any:
    make = partial(make, batch_size, one_hot=bool(config.augment))
    # None of the functions needs AutoGraph, which takes seconds to convert them.
    distribute = tf.autograph.experimental.do_not_convert(team.distribute)
    return distribute(make, -(-examples // batch_size))


def augmentation(
    config: TrainConfig, data: TrainSplit | None = None, *, progress: bool = True
) -> Augmentation:
    """Return the random changes to training images, except those of `latent_mixing`.

    Args:
        config: The settings.
        data: The training split; it is read if an augmentation needs its mean colour. None: only
            check the settings.
        progress: Whether to show a progress bar on a terminal while it is read.

    Raises:
        ValueError: An option of `augment` is unknown, an augmentation lacks the heatmaps that it
            needs, a curriculum depends on the loss, or manifold_mixup is wrapped or given twice.
    """
    geometry = FlipAndRotate(config.flip, config.rotation)
    if not config.augment:
        return geometry
    layers = [build(spec) for spec in config.augmentations]
    if data is not None:
        adapt(layers, data, progress=progress)
    for text, layer in zip(config.augment, layers, strict=True):
        if needs_maps(layer) and config.augment_maps is None:
            raise ValueError(
                f"{text} needs heatmaps. Pass --aug-maps self:3 (the network itself, every third "
                "epoch), or a trained network: a run folder or FILE.keras."
            )
        if isinstance(layer, Curriculum) and layer.shape == "loss":
            raise ValueError(
                f"{text} depends on the loss, which only a CurriculumClock in Python passes on. "
                "Use shape=linear, cosine or step."
            )
        if _wraps_manifold_mixup(layer):
            raise ValueError(
                f"{text}: manifold_mixup mixes inside the network and cannot be wrapped. Pass it "
                "on its own; its `probability` is the share of steps that it mixes."
            )
    others = [one for one in layers if not isinstance(one, ManifoldMixup)]
    if len(layers) - len(others) > 1:
        raise ValueError(
            "manifold_mixup can be given once. Name several layers in it: "
            "manifold_mixup:layers=('input','...')."
        )
    return Compose([geometry, *others])


def _wraps_manifold_mixup(layer: BatchLayer) -> bool:
    inner = layer.wrapped
    return inner is not None and (isinstance(inner, ManifoldMixup) or _wraps_manifold_mixup(inner))


def map_provider(
    config: TrainConfig, data: TrainSplit, model: keras.Model, *, verbose: int, team: Team
) -> RefreshMaps | FrozenTeacher | None:
    """Return the callback that makes heatmaps for augmentations; None if they need none.

    Raises:
        ValueError, OSError: The model, or the teacher, cannot provide them.
    """
    if config.augment_maps is None or not needs_maps(augmentation(config)):
        return None
    size = int(config.batch_size)
    maps = map_callback(config.augment_maps, data, batch_size=size, verbose=verbose, team=team)
    maps.prepare(model)
    return maps


def latent_mixing(config: TrainConfig) -> list[LatentMixing]:
    """Return the callbacks that mix batches inside the network, for `manifold_mixup`."""
    layers = map(build, config.augmentations)
    return [one.callback(config.seed) for one in layers if isinstance(one, ManifoldMixup)]
