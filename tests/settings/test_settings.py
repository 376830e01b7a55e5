"""Settings: validation, JSON round trip, presets."""

import argparse

import pytest

from proxy_keras.settings import PRESETS, DataConfig, ProxyConfig, TrainConfig
from proxy_keras.settings.options import add_train_options, build_config


def test_thesis_defaults():
    config = ProxyConfig()
    assert (config.method, config.threshold, config.weight, config.subset) == (
        "grad_cam_plus_plus",
        0.85,
        0.1,
        0.2,
    )
    assert (config.replacement, config.explain, config.select) == ("blended", "predicted", "wrong")
    assert config.clear_every_step and config.show == 1.0
    train = TrainConfig(data=DataConfig("digits"))
    assert (train.lr, train.weight_decay, train.flip, train.rotation) == (1e-3, 1e-5, 0.5, 10.0)


@pytest.mark.parametrize("proxy", [None, ProxyConfig(max_area=0.3, keep_epochs=2, smooth=0.5)])
def test_json_round_trip(tmp_path, proxy):
    config = TrainConfig(
        data=DataConfig("npz:x.npz", image_size=32, folds=5, fold=1), proxy=proxy, lr="auto"
    )
    config.save(tmp_path / "config.json")
    assert TrainConfig.load(tmp_path / "config.json") == config


def test_presets_are_settings():
    assert ProxyConfig(**PRESETS["thesis"]) == ProxyConfig()
    shortcut = ProxyConfig(**PRESETS["shortcut"])
    assert (shortcut.select, shortcut.show, shortcut.threshold, shortcut.weight) == (
        "all",
        0.5,
        0.5,
        1.0,
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DataConfig("x", image_size=4), "`image_size` must be >= 8 pixels. Received: 4"),
        (lambda: DataConfig("x", val=0.0), r"`val` must be in \(0, 1\)"),
        (lambda: DataConfig("x", folds=3), "`folds` must be >= 2, and `fold`"),
        (lambda: DataConfig("x", folds=3, fold=3), "`folds` must be >= 2, and `fold`"),
        (lambda: DataConfig("x", shortcut=1.5), "`shortcut` must be in"),
        (lambda: ProxyConfig(show=0.0), r"`show` must be in \(0, 1\]"),
        (lambda: ProxyConfig(max_area=0.0), "`max_area` must be in"),
        (lambda: ProxyConfig(smooth=-1.0), "`smooth` must be >= 0"),
        (lambda: ProxyConfig(keep_epochs=0), "`keep_epochs` must be >= 1"),
        (lambda: TrainConfig(DataConfig("x"), epochs=0), "`epochs` must be >= 1"),
        (lambda: TrainConfig(DataConfig("x"), batch_size="big"), "`batch_size` must be"),
        (lambda: TrainConfig(DataConfig("x"), batch_size=0), "`batch_size` must be"),
        (lambda: TrainConfig(DataConfig("x"), lr=0.0), "`lr` must be > 0"),
        (lambda: TrainConfig(DataConfig("x"), precision="int8"), "`precision` must be one of"),
        (lambda: TrainConfig(DataConfig("x"), seed=-1), "`seed` must be >= 0"),
        (lambda: ProxyConfig.from_dict({"treshold": 1}), "Settings of ProxyConfig are schedule"),
    ],
)
def test_invalid_settings_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_freezing_is_on_or_off_or_names_a_layer() -> None:
    for value, first in ((True, None), (False, None), ("conv5", "conv5")):
        config = TrainConfig.from_dict({"data": {"source": "digits"}, "freeze": value})
        assert config.to_dict()["freeze"] is value and config.first_trained == first
    with pytest.raises(ValueError, match="`freeze` must be true, false or a text. Received: 1"):
        TrainConfig(data=DataConfig("digits"), freeze=1)
    parser = argparse.ArgumentParser(argument_default=argparse.SUPPRESS)
    add_train_options(parser)
    for words, value in ((["--freeze"], True), (["--freeze", "conv5"], "conv5"), ([], False)):
        given = vars(parser.parse_args(["--data", "digits", *words, "--epochs", "2"]))
        assert build_config(given).freeze == value
