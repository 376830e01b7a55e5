"""Settings as JSON: written, read back with a check of the keys, and compared."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from proxy_keras.settings.rules import require


class JsonSettings:
    """Base of settings that can be saved as JSON.

    Attributes:
        NESTED: The classes of fields that hold settings themselves.
    """

    NESTED: ClassVar[dict[str, type[JsonSettings]]] = {}

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]

    def compared(self) -> dict[str, Any]:
        """Return the settings that decide what comes out, as plain values.

        Left out are fields with `compare=False`, such as where a cache is: with another value of
        those, a run stays the same run.
        """
        values = self.to_dict()
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if not field.compare:
                del values[field.name]
            elif isinstance(value, JsonSettings):
                values[field.name] = value.compared()
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings that `to_dict` gave; missing ones get their default.

        Raises:
            ValueError: A key is unknown, or a value breaks a rule.
        """
        require(isinstance(values, Mapping), f"{cls.__name__} is a mapping of settings.", values)
        nested = {
            name: kind.from_dict(values[name])
            for name, kind in cls.NESTED.items()
            if values.get(name) is not None
        }
        return cls(**{**values, **nested})

    def save(self, path: Path) -> None:
        """Write the settings as JSON."""
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return a line for each setting, at any depth, that has changed.

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
    """Return nested settings by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.") or {prefix + name: {}}
        else:
            flat[prefix + name] = value
    return flat
