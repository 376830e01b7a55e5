"""Training with the energy loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from proxy_keras.data import ImageData
from proxy_keras.distribution import Team
from proxy_keras.models import freeze_backbone
from proxy_keras.models.frozen_split import split_after_maps
from proxy_keras.settings import DataConfig, TrainConfig
from proxy_keras.settings.robust import EnergyLoss
from proxy_keras.training.robust.energy_loss import EnergyTraining
from proxy_keras.training.robust.registry import check_source
from tests.training.robust_runs import settings


@pytest.fixture(scope="module")
def data() -> ImageData:
    """60 images of 8 px in two classes; the object is the left half of each."""
    draw = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = draw.integers(0, 120, (60, 8, 8, 3))
    images[:, :, :4] += 40 * labels[:, None, None, None]
    images[:, :, 4:] += 80 * labels[:, None, None, None]
    boxes = np.tile([0, 0, 4, 8], (60, 1))
    made = ImageData.from_arrays(images.astype(np.uint8), labels, val=0.2, test=0.2, boxes=boxes)
    return made


def _model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, 2, padding="same", activation="relu", name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, name="logits"),
        ]
    )


def _fitted(
    data: ImageData, method: EnergyLoss, tmp_path: Path, **options: Any
) -> tuple[keras.Model, list[float]]:
    """Return a model after two epochs, and its training losses."""
    config = settings("arrays", **options)
    data.train.reseed(0)
    model = _model()
    if config.freeze:
        freeze_backbone(model)
    training = EnergyTraining(method, config, data, tmp_path, verbose=0)
    fit_input = training.make_input(model, config, Team())
    model.compile(
        keras.optimizers.SGD(0.5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    with fit_input.accepted_by(model):
        done = model.fit(
            fit_input.training(),
            validation_data=fit_input.validation(),
            epochs=2,
            shuffle=False,
            verbose=0,
        )
    return model, done.history["loss"]


def test_the_loss_of_the_first_step_is_cross_entropy_plus_heat_outside(
    data: ImageData, tmp_path: Path
) -> None:
    model = _model()
    images = np.concatenate([images for _, images, _ in data.train.originals(64)])
    labels = data.train.labels
    features = keras.Model(model.inputs[0], model.get_layer("conv").output)(images).numpy()
    # After global average pooling, the gradient is the weight of the class, over the 16 cells.
    kernel = model.get_layer("logits").kernel.numpy()
    heat = np.maximum(np.einsum("bhwc,cb->bhw", features, kernel[:, labels]), 0.0)
    totals = heat.sum(axis=(1, 2))
    outside = 1.0 - heat[:, :, :2].sum(axis=(1, 2))[totals > 0] / totals[totals > 0]
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, model(images))
    whole = {"batch_size": 64, "freeze": False}
    _, losses = _fitted(data, EnergyLoss(weight=2.0), tmp_path, **whole)
    assert losses[0] == pytest.approx(float(entropy) + 2.0 * outside.mean(), rel=1e-4)


@pytest.mark.slow
def test_stored_maps_train_as_images_do(data: ImageData, tmp_path: Path) -> None:
    # Rotations by hardly anything are not storable.
    stored, losses = _fitted(data, EnergyLoss(share=0.5), tmp_path)
    shown, others = _fitted(data, EnergyLoss(share=0.5), tmp_path, rotation=1e-6)
    np.testing.assert_allclose(losses, others, rtol=1e-4)
    for weight, other in zip(stored.get_weights(), shown.get_weights(), strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-4)
    assert "compute_loss" not in vars(stored) and "call" not in vars(stored)


def test_it_is_refused_without_objects(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "cat").mkdir(parents=True)
    config = TrainConfig(DataConfig(str(folder)), None, robust="energy_loss")
    with pytest.raises(ValueError, match="energy_loss needs images whose object is known: boxes"):
        check_source(config)
    (folder / "boxes.csv").touch()
    check_source(config)
    images = np.random.default_rng(0).integers(0, 255, (20, 8, 8, 3)).astype(np.uint8)
    plain = ImageData.from_arrays(images, np.arange(20) % 2, val=0.2, test=0.2)
    with pytest.raises(ValueError, match="Received: none"):
        EnergyTraining(EnergyLoss(), settings("arrays"), plain, tmp_path, verbose=0)


def test_networks_are_cut_after_their_last_maps_also_when_nested() -> None:
    model = _model()
    images = keras.Input((8, 8, 3))
    nested = keras.Model(images, keras.layers.Activation("linear")(model(images)))
    pictures = np.random.default_rng(1).uniform(0, 255, (3, 8, 8, 3)).astype(np.float32)
    for network in (model, nested):
        split = split_after_maps(network)
        maps = split.body(pictures)
        assert maps.shape == (3, 4, 4, 4)
        np.testing.assert_allclose(split.head(maps), network(pictures), rtol=1e-5)
    rows = keras.Input((8,))
    with pytest.raises(ValueError, match="has no feature maps"):
        split_after_maps(keras.Model(rows, keras.layers.Dense(2)(rows)))
