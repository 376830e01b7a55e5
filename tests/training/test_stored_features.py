"""Stored features: the same training as on images, without running the frozen layers again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from proxy_keras.data import ImageData
from proxy_keras.data.feature_store import FeatureStore
from proxy_keras.data.proxy_maker import Attenuation
from proxy_keras.distribution import Team
from proxy_keras.io.saved_model import open_saved
from proxy_keras.models import build_model, freeze_backbone
from proxy_keras.models.frozen_split import split_frozen
from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig
from proxy_keras.training import run as runs
from proxy_keras.training import stored_features

HIDE = ProxyConfig(schedule="start,finish:0.2", cues="planted", cue_action="hide", show=0.5)
SPREAD = dataclasses.replace(HIDE, cue_action="spread", original_weight=0.5)
KEPT = dataclasses.replace(SPREAD, keep_donors=True)
HEAT = ProxyConfig(schedule="p,p,1", select="all", subset=0.5, threshold=0.4, weight=1.0)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An npz file of 100 + 20 images of 16 px in two classes, one brighter."""
    draw = np.random.default_rng(0)
    arrays: dict[str, Any] = {"classes": np.array(["dark", "bright"])}
    for name, count in (("train", 100), ("test", 20)):
        labels = np.arange(count) % 2
        images = draw.integers(0, 200, (count, 16, 16, 3)) + 30 * labels[:, None, None, None]
        arrays |= {f"x_{name}": images.astype(np.uint8), f"y_{name}": labels}
    path = tmp_path_factory.mktemp("data") / "two.npz"
    np.savez(path, **arrays)
    return f"npz:{path}"


def _config(source: str, proxy: ProxyConfig | None = None, **options: Any) -> TrainConfig:
    settings: dict[str, Any] = {
        "data": DataConfig(source, shortcut=0.8, test=0.2, val=0.2),
        "model": "small_cnn",
        "freeze": True,
        "epochs": 3,
        "batch_size": 16,
        "lr": 0.05,
        "flip": 0.0,
        "rotation": 0.0,
        "precision": "float32",
        "proxy": proxy,
    }
    return TrainConfig(**{**settings, **options})


def _train(config: TrainConfig, folder: Path) -> tuple[list[Any], dict[str, Any]]:
    """Return the weights after training, and the metrics."""
    run = runs.prepare(config, folder, verbose=0)
    metrics = runs.train(run, verbose=0)
    return run.model.get_weights(), metrics


# Rounding grows where normalisation is trained, with the learning rate.
STAGE = {"freeze": "block3", "lr": 0.002}


@pytest.mark.parametrize(
    ("proxy", "options"),
    [
        pytest.param(None, {}, marks=pytest.mark.slow),
        (HIDE, {}),
        pytest.param(SPREAD, {}, marks=pytest.mark.slow),
        pytest.param(KEPT, {}, marks=pytest.mark.slow),
        pytest.param(HEAT, {}, marks=pytest.mark.slow),
        pytest.param(SPREAD, STAGE, marks=pytest.mark.slow),
    ],
    ids=["plain", "hide", "spread", "kept", "heat", "spread, a stage"],
)
def test_training_is_the_same_as_on_images(
    proxy: ProxyConfig | None,
    options: dict[str, Any],
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = _config(source, proxy, **options)
    stored, metrics = _train(config, tmp_path / "stored")
    monkeypatch.setattr(stored_features, "MOST_BYTES", 0)
    unstored, expected = _train(config, tmp_path / "unstored")
    for weight, other in zip(stored, unstored, strict=True):
        np.testing.assert_allclose(weight, other, atol=1e-4)
    for split in ("val", "test"):
        assert metrics[split]["loss"] == pytest.approx(expected[split]["loss"], abs=1e-4)
    assert metrics["proxies_made"] == expected["proxies_made"]
    histories = [
        np.genfromtxt(tmp_path / name / "history.csv", delimiter=",", names=True)
        for name in ("stored", "unstored")
    ]
    assert histories[0].dtype == histories[1].dtype
    for column in ("loss", "val_loss", "val_accuracy"):
        np.testing.assert_allclose(histories[0][column], histories[1][column], atol=1e-4)


@pytest.mark.parametrize(("is_spread", "changed"), [(True, [2, 5]), (False, [5])])
def test_a_proxy_without_a_mask_of_its_own_changes_only_where_it_is_given_anothers(
    is_spread: bool, changed: list[int]
) -> None:
    images = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    data = ImageData.from_arrays(images, np.arange(20) % 2, seed=0, progress=False).train
    data.attenuation = Attenuation(replacement="white", is_spread=is_spread, keeps_donors=is_spread)
    heatmaps = np.zeros((2, 4, 4), np.uint8)
    heatmaps[1, 0] = 255
    data.store.put(np.array([2, 5]), heatmaps, np.full([2], 0.5, np.float32), epoch=-1)
    data.update_donors()
    proxies = stored_features.changed_proxies(data)
    assert proxies.positions.tolist() == changed
    made = dict[int, Any]()
    for places, shown in stored_features.fixed_proxies(data, proxies, 1):
        made[int(places[0])] = shown[0].numpy()
    assert list(made) == changed
    read = data.originals(1).as_numpy_iterator()
    originals = {int(places[0]): image for places, image, _ in read}
    np.testing.assert_array_equal(made[5][2:], originals[5][0, 2:])
    assert (made[5][:2] == 255).all()
    if is_spread:
        np.testing.assert_array_equal(made[2][:2], originals[5][0, :2])
        np.testing.assert_array_equal(made[2][2:], originals[2][0, 2:])


@pytest.mark.parametrize(("proxy", "runs_images"), [(SPREAD, True), (KEPT, False)])
def test_images_that_keep_their_donors_need_not_go_through_the_network_again(
    proxy: ProxyConfig,
    runs_images: bool,
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unknown = []
    look_up = FeatureStore.look_up

    def watched(*args: Any) -> Any:
        found = look_up(*args)
        unknown.append(found[1].any())
        return found

    monkeypatch.setattr(FeatureStore, "look_up", watched)
    _train(_config(source, proxy, epochs=2), tmp_path / "run")
    assert any(unknown) == runs_images


@pytest.mark.parametrize(
    ("freeze", "trained"),
    [(True, ("logits",)), pytest.param("block3", ("block3", "logits"), marks=pytest.mark.slow)],
)
def test_the_saved_model_is_the_whole_network(
    freeze: bool | str, trained: tuple[str, ...], source: str, tmp_path: Path
) -> None:
    config = _config(source, HIDE, freeze=freeze, head_epochs=1)
    run = runs.prepare(config, tmp_path / "run", verbose=0)
    before = run.model.get_weights()
    runs.train(run, verbose=0)
    images = next(iter(run.data.test.batches(8)))[0]
    saved = open_saved(tmp_path / "run").model
    np.testing.assert_allclose(saved(images), run.model(images), atol=1e-5)
    split = split_frozen(saved, config.first_trained)
    np.testing.assert_allclose(split.head(split.body(images)), saved(images), atol=1e-5)
    changed = [not np.array_equal(a, b) for a, b in zip(before, saved.get_weights(), strict=True)]
    for weight, is_new in zip(saved.weights, changed, strict=True):
        assert is_new == weight.path.startswith(trained)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("proxy", "has_weights", "freeze"),
    [(HIDE, True, True), (KEPT, False, "block3")],
    ids=["hide, from weights", "kept, a stage"],
)
def test_a_resumed_run_has_the_same_bits(
    proxy: ProxyConfig,
    has_weights: bool,
    freeze: bool | str,
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights = tmp_path / "start.weights.h5"
    keras.utils.set_random_seed(5)
    build_model("small_cnn", num_classes=2, image_size=16).save_weights(weights)
    config = _config(source, proxy, freeze=freeze, weights=str(weights) if has_weights else "none")
    whole, metrics = _train(config, tmp_path / "whole")
    checkpoint = runs.RunCheckpoint.on_epoch_end

    def stop_after_the_second(self: Any, epoch: int, logs: Any = None) -> None:
        checkpoint(self, epoch, logs)
        if epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs.RunCheckpoint, "on_epoch_end", stop_after_the_second)
        with pytest.raises(KeyboardInterrupt):
            _train(config, tmp_path / "resumed")
    resumed, metrics_2 = _train(config, tmp_path / "resumed")
    for weight, other in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(weight, other)
    assert metrics["test"] == metrics_2["test"]
    histories = [(tmp_path / name / "history.csv").read_text() for name in ("whole", "resumed")]
    assert histories[0] == histories[1]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"flip": 0.5}, r"--flip 0\.5 changes images anew each time\. To store features: --flip 0"),
        ({"augment": ("cutout",)}, "--aug cutout changes"),
        ({"proxy": ProxyConfig(wrong_from="train")}, "--wrong-from train explains"),
        ({"strategy": "mirrored"}, "--strategy mirrored trains on several"),
    ],
)
def test_settings_that_rule_out_stored_features_are_named(
    options: dict[str, Any], reason: str
) -> None:
    config = _config("digits", **options)
    with pytest.raises(ValueError, match=reason):
        stored_features.check_storable(config)


def test_the_run_says_whether_features_are_stored(
    source: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(source, None)
    data = ImageData.from_source(source)
    model = build_model("small_cnn", num_classes=2, image_size=16)
    freeze_backbone(model)

    def printed(**changes: Any) -> str:
        settings = dataclasses.replace(config, **changes)
        stored_features.make_input(settings, data, model, Team(), verbose=1)
        return capsys.readouterr().out

    assert "Stored the features of 100 images in" in printed()
    assert "not stored; each epoch runs the whole network. --rotation 5 changes" in printed(
        rotation=5.0
    )
    assert printed(freeze=False, rotation=5.0) == ""
    monkeypatch.setattr(stored_features, "MOST_BYTES", 100 * 64 * 4 - 1)
    assert "Those of 100 images take" in printed()


def test_a_model_takes_images_again_after_fit(source: str) -> None:
    data = ImageData.from_source(source)
    model = build_model("small_cnn", num_classes=2, image_size=16)
    freeze_backbone(model)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    config = _config(source, None)
    stored = stored_features.make_input(config, data, model, Team(), verbose=0)
    with stored.accepted_by(model):
        expected = model.evaluate(stored.validation(), verbose=0)
    assert model.evaluate(data.val.batches(16), verbose=0) == pytest.approx(expected, abs=1e-5)
