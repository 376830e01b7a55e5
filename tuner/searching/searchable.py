"""The settings that can be searched, and which values they take."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from proxy_keras import attribution, models
from proxy_keras.augment import REPLACEMENTS
from proxy_keras.proxy.selection import SELECTS
from proxy_keras.settings.config import DataConfig, ProxyConfig, TrainConfig

PROXY = frozenset(f.name for f in dataclasses.fields(ProxyConfig))
"""Names of the settings of the method."""

# Seed and split are the same for all trials, and so is the number of epochs, unless the algorithm
# itself deals in them: else the longest training would win.
_TRAIN = {f.name for f in dataclasses.fields(TrainConfig)} - {"data", "proxy", "seed", "epochs"}
_NAMES: dict[str, Collection[str]] = {
    "model": models.names(),
    "method": attribution.names(),
    "replacement": REPLACEMENTS,
    "select": SELECTS,
    "explain": ("predicted", "true", "contrast"),
    "engine": ("compiled", "tf-keras-vis"),
}
_DEFAULTS = {**ProxyConfig().to_dict(), **TrainConfig(DataConfig("")).to_dict()}
_KINDS: dict[type, tuple[type, ...]] = {float: (float, int), int: (int,), bool: (bool,)}


def check_name(name: object) -> None:
    """Refuses what is no setting, or must not differ between trials.

    Raises:
        ValueError: It is one of these.
    """
    if name in ("seed", "epochs"):
        raise ValueError(
            f"`{name}` cannot be searched: it is the same for all trials. Give it as --{name}; "
            "the algorithm hyperband varies epochs itself."
        )
    if name not in PROXY | _TRAIN:
        raise ValueError(
            f"A space may have {', '.join(sorted(PROXY | _TRAIN))}. Received: {name!r}"
        )


def check_value(name: str, value: Any) -> None:
    """Refuses what `TrainConfig` would take and a training would not.

    Raises:
        ValueError: The value is of another type, or names nothing.
    """
    names = _NAMES.get(name)
    if names is not None and value not in names:
        raise ValueError(
            f"The space offers `{name}` {value!r}, which is none of: {', '.join(names)}"
        )
    default = _DEFAULTS[name]
    expected = _KINDS.get(type(default))
    is_auto = name in ("lr", "batch_size") and value == "auto"
    # True is an int in Python, and not in a space.
    fits = expected is None or (
        isinstance(value, expected) and isinstance(value, bool) == isinstance(default, bool)
    )
    if not (fits or is_auto):
        raise ValueError(
            f"The space offers `{name}` {value!r}, but this setting is of type "
            f"{type(default).__name__}, such as {default!r}."
        )


def current(config: TrainConfig, name: str) -> Any:
    """The value of a setting; None where there are no proxies that it belongs to."""
    return getattr(config.proxy if name in PROXY else config, name, None)


def changed(config: TrainConfig, values: Mapping[str, Any]) -> TrainConfig:
    """The settings with some of them changed.

    Raises:
        ValueError, TypeError: A value breaks its rule.
    """
    proxy = {name: value for name, value in values.items() if name in PROXY}
    train = {name: value for name, value in values.items() if name not in PROXY}
    if proxy and config.proxy is not None:
        train["proxy"] = dataclasses.replace(config.proxy, **proxy)
    return dataclasses.replace(config, **train)
