"""Methods that are told the groups of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from proxy_keras.data import ImageData
from proxy_keras.distribution import Team
from proxy_keras.models import freeze_backbone
from proxy_keras.robust.dfr import dfr
from proxy_keras.robust.group_dro import GroupWeights
from proxy_keras.settings import DataConfig, TrainConfig
from proxy_keras.settings.robust import DeepFeatureReweighting, GroupDro
from proxy_keras.training import run as runs
from proxy_keras.training.fit_input import FitInput
from proxy_keras.training.robust.group_dro import GroupDroTraining
from proxy_keras.training.robust.last_layer import DfrTraining
from proxy_keras.training.robust.registry import check_source
from tests.training.robust_runs import settings, trained, two_classes

NAMES = ["bird on land", "bird on water", "fish on land", "fish on water"]


@pytest.fixture(scope="module")
def data() -> ImageData:
    """80 images of 8 px in two classes and four groups."""
    draw = np.random.default_rng(0)
    labels = np.arange(80) % 2
    groups = [NAMES[2 * label + at % 8 // 4] for at, label in enumerate(labels)]
    images = draw.integers(0, 200, (80, 8, 8, 3)) + 40 * labels[:, None, None, None]
    return ImageData.from_arrays(images.astype(np.uint8), labels, val=0.3, test=0.2, groups=groups)


def _model() -> keras.Model:
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 3))
    hidden = keras.layers.Conv2D(4, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(images))
    pooled = keras.layers.GlobalAveragePooling2D()(hidden)
    return keras.Model(images, keras.layers.Dense(2, name="logits")(pooled))


def _first_step(data: ImageData, tmp_path: Path, **options: Any) -> tuple[float, Any]:
    """Return the loss of a first step with all images, and the weights of the groups."""
    config = settings("arrays", batch_size=64, **options)
    data.train.reseed(0)
    model = _model()
    if config.freeze:
        freeze_backbone(model)
    training = GroupDroTraining(GroupDro(step=2.0), config, data, tmp_path, verbose=0)
    fit_input = training.make_input(model, config, Team())
    model.compile(
        keras.optimizers.SGD(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    with fit_input.accepted_by(model):
        done = model.fit(
            fit_input.training(), validation_data=fit_input.validation(), shuffle=False, verbose=0
        )
    assert "call" not in vars(model) and "compute_loss" not in vars(model)
    weights = training.report()["robust"]["weights"]
    np.testing.assert_allclose(training.get_state()["weights"], list(weights.values()))
    return done.history["loss"][0], weights


@pytest.mark.parametrize("freeze", [True, False])
def test_group_dro_trains_on_the_weighted_losses_of_the_groups(
    data: ImageData, tmp_path: Path, freeze: bool
) -> None:
    train, model = data.train, _model()
    images = np.concatenate([images for _, images, _ in train.originals(64)])
    losses = keras.losses.sparse_categorical_crossentropy(
        train.labels, model(images), from_logits=True
    )
    expected = GroupWeights(train.groups, step=2.0)
    loss = float(expected.loss(losses, train.groups.ids))
    found, weights = _first_step(data, tmp_path, freeze=freeze)
    assert found == pytest.approx(loss, rel=1e-4)
    assert list(weights) == NAMES
    np.testing.assert_allclose(list(weights.values()), expected.weights, rtol=1e-4)


@pytest.mark.slow
def test_a_resumed_group_dro_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = two_classes(tmp_path / "two.npz")
    file = Path(source.removeprefix("npz:"))
    arrays = dict(np.load(file))
    for name in ("train", "test"):
        arrays[f"groups_{name}"] = np.array(NAMES)[np.arange(len(arrays[f"y_{name}"])) % 4]
    np.savez(file, **arrays)
    config = settings(source, robust="group_dro:step=0.5")
    whole, metrics = trained(config, tmp_path / "whole")
    written = runs.RunCheckpoint.on_epoch_end

    def stop_after_the_first(self: Any, epoch: int, logs: Any = None) -> None:
        written(self, epoch, logs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs.RunCheckpoint, "on_epoch_end", stop_after_the_first)
        with pytest.raises(KeyboardInterrupt):
            trained(config, tmp_path / "resumed")
    resumed, again = trained(config, tmp_path / "resumed")
    for one, two in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(one, two)
    weights = metrics["robust"]["weights"]
    assert weights == again["robust"]["weights"] and len(set(weights.values())) == 4


def test_dfr_refits_on_the_groups_of_validation(data: ImageData, tmp_path: Path) -> None:
    config, model = settings("arrays", freeze=False), _model()
    training = DfrTraining(
        DeepFeatureReweighting(draws=3, c=0.5), config, data, tmp_path, verbose=0
    )
    fit_input = FitInput(config, data, Team(), verbose=0)
    features = fit_input.last_features(model, data.val)
    layer, _ = dfr(
        features,
        data.val.labels,
        data.val.groups,
        num_classes=2,
        draws=3,
        c=0.5,
        seed=0,
    )
    training.finish(model, config, fit_input, verbose=0)
    np.testing.assert_allclose(model.get_layer("logits").kernel, layer.kernel, rtol=1e-5)
    report = training.report()["robust"]
    assert (report["c"], report["images"]) == (0.5, len(data.val))


def test_they_are_refused_without_groups(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "cat").mkdir(parents=True)
    for text in ("dfr", "group_dro"):
        config = TrainConfig(DataConfig(str(folder)), None, robust=text)
        with pytest.raises(ValueError, match=f"`robust` {text} needs the groups of images: groups"):
            check_source(config)
    (folder / "groups.csv").touch()
    check_source(config)
    images = np.random.default_rng(0).integers(0, 255, (20, 8, 8, 3)).astype(np.uint8)
    labels = np.arange(20) % 2
    plain = ImageData.from_arrays(images, labels, val=0.2, test=0.2)
    with pytest.raises(ValueError, match="Received: none for the images of val"):
        DfrTraining(DeepFeatureReweighting(), settings("arrays"), plain, tmp_path, verbose=0)
    groups = ["one", *["other"] * 19]
    rare = ImageData.from_arrays(images, labels, val=0.2, test=0.2, groups=groups)
    absent = rare.val if "one" not in np.array(groups)[rare.val.rows] else rare.train
    method = DeepFeatureReweighting(data=absent.name)
    with pytest.raises(ValueError, match=f"every group in {absent.name}. Received: none of one"):
        DfrTraining(method, settings("arrays"), rare, tmp_path, verbose=0)
