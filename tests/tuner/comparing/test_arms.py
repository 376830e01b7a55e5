"""The recipes of `--arms`."""

from __future__ import annotations

import dataclasses

import pytest

from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig
from tuner.comparing.arms import make_arms, split_arms

BASE = TrainConfig(DataConfig("digits"), ProxyConfig(threshold=0.3), epochs=4, lr=0.002)


def configs(*words: str, controls: bool = False) -> dict[str, TrainConfig]:
    return {arm.name: arm.config for arm in make_arms(words, BASE, controls=controls)}


def test_none_is_plain_training_and_always_there():
    for words in (("none",), ("proxy",)):
        assert configs(*words)["none"] == dataclasses.replace(BASE, proxy=None)


def test_proxy_is_the_studys_own_and_controls_differ_in_nothing_else():
    made = configs("proxy", controls=True)
    assert list(made) == ["none", "proxy", "random_mask", "erasing", "proxies_off"]
    assert made["proxy"] == BASE
    for control in ("random_mask", "erasing", "proxies_off"):
        settings = dataclasses.replace(BASE.proxy, control=control)
        assert made[control] == dataclasses.replace(BASE, proxy=settings)


def test_a_preset_replaces_the_studys_settings_and_brings_its_own_controls():
    made = configs("proxy:shortcut", "proxy", "erasing:shortcut", controls=True)
    assert list(made) == [
        *("none", "proxy:shortcut", "proxy", "erasing:shortcut"),
        *("random_mask:shortcut", "proxies_off:shortcut"),
        *("random_mask", "erasing", "proxies_off"),
    ]
    proxy = made["proxy:shortcut"].proxy
    assert (proxy.select, proxy.threshold, proxy.show) == ("all", 0.5, 0.5)
    assert made["random_mask:shortcut"].proxy == dataclasses.replace(proxy, control="random_mask")


def test_an_augmentation_is_plain_training_with_it():
    made = configs("cutmix", "mixup:alpha=0.4")
    assert made["cutmix"] == dataclasses.replace(BASE, proxy=None, augment=("cutmix",))
    assert made["mixup:alpha=0.4"].augment == ("mixup:alpha=0.4",)


def test_a_robust_method_is_plain_training_with_it_or_joins_another_arm():
    refit = "class_balanced:data=val"
    made = configs("jtt:weight=9", "proxy:shortcut+class_balanced", f"cutmix+{refit}")
    assert made["jtt:weight=9"] == dataclasses.replace(BASE, proxy=None, robust="jtt:weight=9")
    both = made["proxy:shortcut+class_balanced"]
    assert (both.robust, both.proxy.select) == ("class_balanced", "all")
    assert made[f"cutmix+{refit}"].augment == ("cutmix",)
    # The controls of both have the method too.
    made = configs("proxy+class_balanced", controls=True)
    masks = made["random_mask+class_balanced"]
    assert (masks.robust, masks.proxy.control) == ("class_balanced", "random_mask")
    assert list(made)[1:] == [
        f"{name}+class_balanced" for name in ("proxy", "random_mask", "erasing", "proxies_off")
    ]


def test_recipes_change_what_they_name(tmp_path):
    file = tmp_path / "recipes.yaml"
    file.write_text(
        "proxy:strong: {preset: shortcut, threshold: 0.2, augment: [cutmix]}\n"
        "slow: {no_proxy: true, lr: 1e-4}\n"
        "proxy:same_but_lr: {no_proxy: false, lr: 0.0001}\n"
        "erasing:strong: {preset: shortcut, control: erasing}\n"
    )
    made = configs(str(file))
    strong = made["proxy:strong"]
    assert strong.proxy.threshold == 0.2 and strong.proxy.select == "all"
    assert strong.augment == ("cutmix",)
    assert made["slow"] == dataclasses.replace(BASE, proxy=None, lr=0.0001)
    assert made["proxy:same_but_lr"] == dataclasses.replace(BASE, lr=0.0001)
    # A recipe brings its controls along, but for those that the file has itself.
    made = configs(str(file), controls=True)
    masks = dataclasses.replace(strong.proxy, control="random_mask")
    assert made["random_mask:strong"] == dataclasses.replace(strong, proxy=masks)
    assert made["erasing:strong"].augment == () and "proxies_off:same_but_lr" in made


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nine"], "Unknown arm 'nine'. Arms are none, proxy, random_mask"),
        (["proxy:best"], "does not exist. Presets: thesis, shortcut"),
        (["mixup:beta=1"], "mixup has no option beta"),
        (["proxy", "proxy"], "name or folder 'proxy'"),
        (["proxy+jtt"], "`robust` jtt changes training itself and takes no proxies"),
        (["none+none"], "`robust` must be one of class_balanced"),
        (["jtt:speed=1"], "jtt: Settings of JustTrainTwice are epochs, weight"),
    ],
)
def test_words_that_stand_for_nothing_are_refused(words, message):
    with pytest.raises(ValueError, match=message):
        make_arms(words, BASE, controls=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {epochs: 9}", "'a' .* sets epochs, which all arms of a study share"),
        ("a: {speed: 9}", "'a' .* sets speed, which is not a recipe setting"),
        ("a: {threshold: 2}", "'a' .*: `threshold` must be in"),
        ("a: {threshold: high}", "'a' .*: `threshold` must be a number in .*'high'"),
        ("a: {flip: yes}", "'a' .*: `flip` must be a number in .*Received: True"),
        ("a: {1: 2}", "'a' .* sets 1, which is not a recipe setting"),
        ("a: {preset: [shortcut]}", "'a' .*: `preset` must be one of thesis, shortcut"),
        ("a: {augment: cutmix}", r"`augment` must be a list of texts, such as \['cutmix'\]"),
        ("a: {augment: [cutmux]}", "'a' .*: There is no augmentation 'cutmux'"),
        ("a: {preset: shortcut}", "'a' .* trains with proxy. Name it 'proxy:NAME'"),
        ("a: {control: erasing}", "'a' .* trains with erasing. Name it 'erasing:NAME'"),
        ("a: {preset: best}", "'a' .*: `preset` must be one of thesis, shortcut"),
        ("[a, b]", "must map names of arms to their settings"),
        ("a: {", "is not valid YAML"),
        ("a: {lr: 0.002, no_proxy: true}", "'none' and 'a' have the same settings"),
        ("a b: {lr: 1.0, no_proxy: true}\na_b: {lr: 0.9, no_proxy: true}", "name or folder 'a_b'"),
    ],
)
def test_recipes_that_break_a_rule_are_refused(tmp_path, text, message):
    file = tmp_path / "recipes.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        make_arms(["none", str(file)], BASE, controls=False)


def test_a_missing_file_of_recipes_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        make_arms([str(tmp_path / "no.yaml")], BASE, controls=False)


@pytest.mark.parametrize(
    ("text", "arms"),
    [
        ("none, cutmix", ["none", "cutmix"]),
        (
            "none,randaugment:operations=2,magnitude=0.3,cutmix",
            ["none", "randaugment:operations=2,magnitude=0.3", "cutmix"],
        ),
        ("random_erasing:area=(0.02,0.2),fill=mean", ["random_erasing:area=(0.02,0.2),fill=mean"]),
        ("proxy:shortcut,,my=recipes.yaml", ["proxy:shortcut,my=recipes.yaml"]),
    ],
)
def test_commas_separate_arms_and_options(text, arms):
    assert split_arms(text) == arms
