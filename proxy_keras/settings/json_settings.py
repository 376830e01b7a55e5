"""Settings that check themselves, and go to and from JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self


def require(ok: bool, rule: str, received: object) -> None:
    """Raises ValueError with the rule and what came, unless `ok`."""
    if not ok:
        raise ValueError(f"{rule} Received: {received!r}")


class JsonSettings:
    """Dataclasses that can be written as JSON and read back with a check of the keys.

    Attributes:
        NESTED: The classes of fields that hold settings themselves.
    """

    NESTED: ClassVar[dict[str, type[JsonSettings]]] = {}

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values."""
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The settings that `to_dict` gave; missing ones get their default.

        Raises:
            ValueError: A key is unknown, or a value breaks a rule.
        """
        fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown = set(values) - set(fields)
        require(not unknown, f"Settings of {cls.__name__} are {', '.join(fields)}.", unknown)
        read = {
            name: cls.NESTED[name].from_dict(value)
            if name in cls.NESTED and isinstance(value, Mapping)
            else value
            for name, value in values.items()
        }
        return cls(**read)

    def save(self, path: Path) -> None:
        """Writes the settings as JSON."""
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A line for each setting, at any depth, that is another one now.

    Args:
        before: Settings as JSON values.
        now: The same.
    """
    old, new = _flat(before), _flat(now)
    return [
        f"{name} was {old.get(name)!r}, now {new.get(name)!r}"
        for name in {**old, **new}
        if old.get(name) != new.get(name)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.") or {prefix + name: {}}
        else:
            flat[prefix + name] = value
    return flat
