"""The settings that can be searched, and their valid values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from proxy_keras.settings import ProxyConfig, TrainConfig, declared
from proxy_keras.settings.checking import check
from proxy_keras.settings.wording import rule_text
from tuner.searching.parameter import Parameter

PROXY = frozenset(declared(ProxyConfig))
"""Names of the settings of the method."""

# The same for all trials: the longest training run would win, and determinism decides nothing.
_FIXED = ("seed", "epochs", "determinism")
_SEARCHABLE = {
    name: setting
    for cls in (ProxyConfig, TrainConfig)
    for name, setting in declared(cls).items()
    if name not in _FIXED
}


def check_name(name: object) -> None:
    """Check that a name is a setting that may differ between trials.

    Raises:
        ValueError: It is none, or must not differ.
    """
    if name in _FIXED:
        raise ValueError(
            f"`{name}` cannot be searched: it is the same for all trials. Give it as --{name}; "
            "the algorithm hyperband varies epochs itself."
        )
    if name not in _SEARCHABLE:
        raise ValueError(f"A space may have {', '.join(sorted(_SEARCHABLE))}. Received: {name!r}")


def check_values(name: str, parameter: Parameter) -> None:
    """Check every choice, or both ends of a range, of a setting by itself.

    Raises:
        ValueError: A value breaks the setting's rule.
    """
    setting = _SEARCHABLE[name]
    if parameter.kind == "float" and setting.is_whole:
        raise ValueError(
            f"`{name}` must be {rule_text(setting)}: use `type: int` or `type: choice`."
        )
    for value in parameter.samples():
        check(setting, value)


def current_value(config: TrainConfig, name: str) -> Any:
    """Return the value of a setting; None without the proxies that it belongs to."""
    return getattr(config.proxy if name in PROXY else config, name, None)


def changed(config: TrainConfig, values: Mapping[str, Any]) -> TrainConfig:
    """Return the settings with some of them changed.

    Raises:
        ValueError: A value breaks its rule.
    """
    proxy = {name: value for name, value in values.items() if name in PROXY}
    train = {name: value for name, value in values.items() if name not in PROXY}
    if proxy and config.proxy is not None:
        train["proxy"] = dataclasses.replace(config.proxy, **proxy)
    return dataclasses.replace(config, **train)
