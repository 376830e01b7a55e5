"""Command-line options of a training run, made from the declared settings."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from proxy_keras.settings.checking import check
from proxy_keras.settings.data_config import INDEX_WORDS, DataConfig
from proxy_keras.settings.declaration import Declared, declared
from proxy_keras.settings.key_value import KeyValue
from proxy_keras.settings.presets import PRESETS
from proxy_keras.settings.proxy_config import ProxyConfig
from proxy_keras.settings.train_config import TrainConfig
from proxy_keras.settings.wording import option_help


def add_config_option(parser: argparse._ActionsContainer) -> None:
    """Add `--config`, which `build_config` starts from."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings to start from, such as a run's config.json; other options change them",
    )


def add_train_options(parser: argparse.ArgumentParser) -> None:
    """Add all options of a training run."""
    add_options(parser.add_argument_group("data"), DataConfig)
    add_options(parser.add_argument_group("network and recipe"), TrainConfig)
    group = parser.add_argument_group("proxies")
    group.add_argument("--no-proxy", action="store_true", help="plain training")
    group.add_argument(
        "--preset", metavar="P", help=f"settings to start from: {', '.join(PRESETS)}"
    )
    add_options(group, ProxyConfig)


def add_options(group: argparse._ActionsContainer, cls: type, *names: str) -> None:
    """Add the options of the settings that a class declares; `names`: only of these."""
    for name in names or declared(cls):
        setting = declared(cls)[name]
        group.add_argument(
            setting.option, dest=_destination(cls, setting.name), **_arguments(setting)
        )


def _destination(cls: type, name: str) -> str:
    """Return the name of an option's value: that of the setting, but both classes have a seed."""
    return "split_seed" if (cls, name) == (DataConfig, "seed") else name


def _arguments(setting: Declared) -> dict[str, Any]:
    """Return the arguments of `add_argument`; values are checked by the settings, not here."""
    arguments: dict[str, Any] = {"help": option_help(setting).replace("%", "%%")}
    if setting.is_flag:
        if setting.about.metavar:
            return {**arguments, "nargs": "?", "const": True, "metavar": setting.about.metavar}
        arguments["action"] = argparse.BooleanOptionalAction if setting.default else "store_true"
        return arguments
    arguments["metavar"] = setting.about.metavar
    if isinstance(setting.default, dict):
        arguments["action"] = KeyValue
    elif isinstance(setting.default, tuple):
        arguments["action"] = "append"
    elif setting.is_number:
        arguments["type"] = _number_or_text
    return arguments


def _number_or_text(text: str) -> int | float | str:
    """Read a number; other text is left for the settings to judge."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def build_config(given: dict[str, Any]) -> TrainConfig:
    """Return the settings of a new run.

    Args:
        given: The options that were given, by the name of their setting.

    Raises:
        ValueError: A value breaks its rule, or options contradict each other.
    """
    given = dict(given)
    file: Path | None = given.pop("config", None)
    if file is not None:
        config = _read_config(file)
        return changed(config, with_absolute_paths({"source": config.data.source, **given}))
    if "source" not in given:
        raise ValueError(
            "`--data` is needed: digits, decoy_digits, clutter_digits, a folder, npz:FILE or "
            "tfds:NAME."
        )
    head_epochs = 0 if given.get("weights", "none") == "none" else 1
    defaults = TrainConfig(data=DataConfig(given["source"]), head_epochs=head_epochs)
    return changed(defaults, with_absolute_paths(given))


def _read_config(file: Path) -> TrainConfig:
    """Return the settings in a file.

    Raises:
        ValueError: It is not a file of settings.
    """
    try:
        return TrainConfig.load(file)
    except ValueError as error:
        raise ValueError(f"{file} does not hold the settings of a training run: {error}") from error


def compared(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of data that decide which images there are, and how they are split."""
    ignored = {field.name for field in dataclasses.fields(DataConfig) if not field.compare}
    return {name: value for name, value in given.items() if name not in ignored}


def with_absolute_paths(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options with absolute paths, so that a run can be resumed from anywhere."""
    return {name: _absolute(name, value) for name, value in given.items()}


def _absolute(name: str, value: Any) -> Any:
    if name == "features" or (name == "index" and value not in INDEX_WORDS):
        # It may not exist yet.
        return str(Path(value).resolve())
    prefix, found, path = (
        str(value).rpartition("npz:") if name == "source" else ("", "", str(value))
    )
    paths = ("source", "weights", "data_dir", "groups", "augment_maps", "cues")
    is_path = name in paths or (name == "model" and path.endswith(".keras"))
    if is_path and not prefix and Path(path).exists():
        return f"{found}{Path(path).resolve()}"
    return value


def changed(config: TrainConfig, given: dict[str, Any]) -> TrainConfig:
    """Return `config` with the options that were given.

    Raises:
        ValueError: A value breaks its rule, or options contradict each other.
    """
    if "split_seed" in given:
        # Its rule would name `seed`, which is another option.
        split_seed = declared(DataConfig)["seed"]
        check(split_seed, given["split_seed"], name=split_seed.option)
    data, train, proxy = (
        {name: given[key] for name in declared(cls) if (key := _destination(cls, name)) in given}
        for cls in (DataConfig, TrainConfig, ProxyConfig)
    )
    settings: ProxyConfig | None
    if "no_proxy" in given:
        useless = sorted({*proxy, *({"preset"} & set(given))})
        if useless:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in useless)
            raise ValueError(f"`--no-proxy` is plain training; leave out {options}.")
        settings = None
    else:
        preset = given.get("preset", "thesis")
        if preset not in list(PRESETS):
            raise ValueError(f"`preset` must be one of {', '.join(PRESETS)}. Received: {preset!r}")
        proxy = {**PRESETS[preset], **proxy}
        settings = (config.proxy or ProxyConfig()).changed(**proxy)
        if config.proxy is None and not proxy:
            settings = None
    return dataclasses.replace(
        config, data=dataclasses.replace(config.data, **data), proxy=settings, **train
    )
