"""Settings are declared once: checks, options and help come from the declaration."""

from __future__ import annotations

import dataclasses
import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_keras.settings import DataConfig, ProxyConfig, TrainConfig, declared
from proxy_keras.settings.checking import check
from proxy_keras.settings.options import build_config
from proxy_keras.train import build_parser

CLASSES = (DataConfig, ProxyConfig, TrainConfig)
WRONG = {
    "threshold": (1.5, r"`threshold` must be in \[0, 1\]. Received: 1.5"),
    "weight": ("much", r"`weight` must be a number in \[0, 1\]. Received: 'much'"),
    "subset": (0.0, r"`subset` must be in \(0, 1\]. Received: 0.0"),
    "keep_epochs": (1.5, "`keep_epochs` must be a whole number >= 1. Received: 1.5"),
    "agree": (1, "`agree` must be true or false. Received: 1"),
    "select": ("nonsense", "`select` must be one of wrong, loss, .*Received: 'nonsense'"),
    "replacement": ("pink", "`replacement` must be one of blended, .*Received: 'pink'"),
    "explain": ("whatever", "`explain` must be one of predicted, .*Received: 'whatever'"),
    "engine": ("x", "`engine` must be one of compiled, tf-keras-vis. Received: 'x'"),
    "method": ("nope", "`method` must be one of cam, grad_cam, .*Received: 'nope'"),
    "control": ("mask", "`control` must be one of random_mask, .*Received: 'mask'"),
    "region": (3, "`region` must be one of hot, cold. Received: 3"),
    "target_layer": (7, "`target_layer` must be text. Received: 7"),
    "schedule": ("5,q", "A schedule is made of whole numbers .*Received: 'q'"),
    "method_options": ({"steps": 3}, "Method 'grad_cam_plus_plus' has no option steps"),
}
NEEDED = {"source": "digits", "data": DataConfig("digits")}


def _needed(cls: type) -> dict[str, object]:
    names = {field.name for field in dataclasses.fields(cls)}
    return {name: value for name, value in NEEDED.items() if name in names}


@pytest.mark.parametrize("name", WRONG)
def test_an_invalid_value_is_refused_at_construction(name: str) -> None:
    value, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        ProxyConfig(**{name: value})


@pytest.mark.parametrize("cls", CLASSES)
def test_every_setting_refuses_other_types_and_names_itself(cls: type) -> None:
    for name, setting in declared(cls).items():
        for wrong in (object(), [object()]):
            with pytest.raises(ValueError, match=rf"`{name}` must be .*Received: "):
                cls(**{**_needed(cls), name: wrong})
            with pytest.raises(ValueError, match=rf"`{name}` must be "):
                check(setting, wrong)


@pytest.mark.parametrize("cls", CLASSES)
def test_defaults_are_valid_and_every_setting_has_help(cls: type) -> None:
    for setting in declared(cls).values():
        assert setting.about.help.endswith(".") and len(setting.about.help) > 5
        # None can stand for a default that depends on other settings.
        if setting.default is not dataclasses.MISSING and setting.default is not None:
            check(setting, setting.default)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_field_is_declared(cls: type) -> None:
    fields = {field.name for field in dataclasses.fields(cls)}
    assert fields - set(declared(cls)) == ({"data", "proxy"} if cls is TrainConfig else set())


def test_the_options_of_the_command_are_the_settings() -> None:
    options = {text for action in build_parser()._actions for text in action.option_strings}
    for cls in CLASSES:
        assert {setting.option for setting in declared(cls).values()} <= options
    own = {"--out", "--resume", "--config", "--quiet", "--no-proxy", "--preset", "--help", "-h"}
    declared_options = {s.option for cls in CLASSES for s in declared(cls).values()}
    switches = {f"--no-{o[2:]}" for o in declared_options if f"--no-{o[2:]}" in options}
    assert options - declared_options - switches == own | {"--verbose"} & options


def test_the_callback_takes_every_setting_with_its_default() -> None:
    from proxy_keras import ProxyAttention

    taken = inspect.signature(ProxyAttention).parameters
    help_text = " ".join(str(ProxyAttention.__doc__).split())
    for name, setting in declared(ProxyConfig).items():
        default = None if name == "method_options" else setting.default
        assert taken[name].default == default, name
        assert f"{name}: {' '.join(setting.about.help.split())}" in help_text
    assert "Must be a number in [0, 1]. Default: 0.85." in help_text
    assert "Must be ." not in help_text and "<settings>" not in help_text
    others = set(taken) - set(declared(ProxyConfig))
    assert others == {"data", "batch_size", "log_dir", "sheet_dir", "verbose", "team", "objects"}


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers() | st.text() | st.none())
def test_a_share_is_a_number_from_0_to_1(value: object) -> None:
    is_share = isinstance(value, int | float) and 0 <= value <= 1
    if isinstance(value, str):
        try:
            is_share = "e" in value.lower() and 0 <= float(value) <= 1
        except ValueError:
            is_share = False
    if is_share:
        assert 0.0 <= ProxyConfig(threshold=value).threshold <= 1.0  # type: ignore[arg-type]
    else:
        with pytest.raises(ValueError, match=r"`threshold` must be"):
            ProxyConfig(threshold=value)  # type: ignore[arg-type]


def test_numbers_of_numpy_and_yaml_are_numbers() -> None:
    config = ProxyConfig(threshold=np.float32(0.5), keep_epochs=np.int64(3), weight="1e-1")  # type: ignore[arg-type]
    assert (config.threshold, config.keep_epochs, config.weight) == (0.5, 3, 0.1)
    assert type(config.keep_epochs) is int and type(config.threshold) is float
    json.dumps(config.to_dict())


def test_lists_of_json_become_tuples() -> None:
    config = TrainConfig(DataConfig("digits"), augment=["cutmix", "mixup:alpha=0.4"])  # type: ignore[arg-type]
    assert config.augment == ("cutmix", "mixup:alpha=0.4")
    assert [spec.name for spec in config.augmentations] == ["cutmix", "mixup"]


@pytest.mark.parametrize("start", [{"source": "digits"}, {"config": "config.json"}])
def test_the_seed_of_the_split_is_named_by_its_option(
    start: dict[str, str], tmp_path: Path
) -> None:
    TrainConfig(DataConfig("digits")).save(tmp_path / "config.json")
    start = {name: tmp_path / v if name == "config" else v for name, v in start.items()}
    for wrong, received in ((-1, "must be >= 0"), (0.5, "must be a whole number >= 0")):
        with pytest.raises(ValueError, match=f"^`--split-seed` {received}. Received: {wrong}$"):
            build_config({**start, "split_seed": wrong})
    with pytest.raises(ValueError, match="^`seed` must be >= 0. Received: -1$"):
        build_config({**start, "seed": -1})
    assert build_config({**start, "split_seed": 3, "seed": 4}).data.seed == 3


def _write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


NAMED_EARLY = {
    "threshold": (["--threshold", "1.5"], 0.5, 1.5, "`threshold` must be in [0, 1]. Received: 1.5"),
    "augment": (
        ["--aug", "mixup:alhpa=1"],
        ["cutmix"],
        ["mixup:alhpa=1"],
        "mixup has no option alhpa. It has: alpha, seed, probability, value_range.",
    ),
}
"""An invalid option; a valid value, an invalid one, and the message about it."""

WAYS = {
    "options": ["proxy_keras.train", "--data", "digits", "--out", "{}/run"],
    "a file of settings": ["proxy_keras.train", "--config", "{}/a.json", "--out", "{}/run"],
    "a recipe": ["tuner.study", "--data", "digits", "--arms", "{}/a.yaml", "--out", "{}/s"],
    "a space": [
        *("tuner.search", "--data", "digits", "--algorithm", "random", "--trials", "1"),
        *("--space", "{}/space.yaml", "--out", "{}/search"),
    ],
}


@pytest.mark.parametrize("name", NAMED_EARLY)
@pytest.mark.parametrize("way", WAYS)
def test_an_invalid_value_is_named_before_tensorflow_is_imported(
    way: str, name: str, tmp_path: Path
) -> None:
    option, valid, wrong, message = NAMED_EARLY[name]
    given = {"proxy": {name: wrong}} if name == "threshold" else {name: wrong}
    # JSON is YAML.
    _write(tmp_path / "a.json", json.dumps({"data": {"source": "digits"}, **given}))
    _write(tmp_path / "a.yaml", json.dumps({"proxy:a": {name: wrong}}))
    entry = {"type": "choice", "values": [valid, wrong]}
    _write(tmp_path / "space.yaml", json.dumps({"parameters": {name: entry}}))
    module, *words = (word.format(tmp_path) for word in WAYS[way])
    words += option if way == "options" else []
    script = (
        "import runpy, sys\n"
        f"sys.argv = {[module, *words]!r}\n"
        "try:\n"
        f"    runpy.run_module({module!r}, run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    print('code', end.code, sorted({'tensorflow', 'keras'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    assert message in done.stderr
    assert done.stdout.splitlines()[-1] == "code 2 []"
    assert not (tmp_path / "run").exists() and not (tmp_path / "s" / "runs").exists()
