"""Parameter: one validated entry of a search space."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxy_keras.settings.rules import plain_number

KINDS = ("choice", "int", "float")
_KEYS = {
    "choice": {"type", "values", "when"},
    "int": {"type", "min", "max", "step", "sampling", "when"},
    "float": {"type", "min", "max", "step", "sampling", "when"},
}
Value = bool | int | float | str


@dataclass(frozen=True)
class Parameter:
    """Searched setting.

    Attributes:
        name: A field of `TrainConfig` or `ProxyConfig`.
        kind: `choice`, `int` or `float`.
        values: Values of a choice, as JSON values; else empty.
        low: Smallest number; None for a choice.
        high: Largest number; None for a choice.
        step: Difference between numbers; with `is_log` their ratio, > 1; None: continuous.
        is_log: Whether numbers are sampled on a logarithmic scale.
        when: Values of other settings, all of which are required for this one to be active.
    """

    name: str
    kind: str
    values: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    step: float | None = None
    is_log: bool = False
    when: Mapping[str, tuple[Any, ...]] | None = None

    @classmethod
    def read(cls, name: str, entry: object) -> Parameter:
        """Return the parameter of an entry of a space file.

        Raises:
            ValueError: The entry is invalid.
        """
        if not isinstance(entry, Mapping):
            raise _invalid(name, "must have `type:` choice, int or float below it", entry)
        kind = entry.get("type")
        if kind not in KINDS:
            raise _invalid(name, f"needs `type:`, one of {', '.join(KINDS)}", kind)
        unknown = sorted(map(str, set(entry) - _KEYS[kind]))
        if unknown:
            raise _invalid(name, f"may have {', '.join(sorted(_KEYS[kind]))}", unknown)
        when = _read_when(name, entry.get("when"))
        if kind == "choice":
            return cls(name, kind, values=_read_values(name, entry.get("values")), when=when)
        low, high = (_read_number(name, key, entry.get(key), kind) for key in ("min", "max"))
        step = entry.get("step")
        step = None if step is None else _read_number(name, "step", step, kind)
        sampling = entry.get("sampling", "linear")
        if sampling not in ("linear", "log"):
            raise _invalid(name, "has `sampling:` linear or log", sampling)
        is_log = sampling == "log"
        if low >= high:
            raise _invalid(name, "needs min < max", (low, high))
        if is_log and low <= 0:
            raise _invalid(name, "needs min > 0 for sampling: log", low)
        if step is not None and step <= (1 if is_log else 0):
            rule = "has a step > 1, a factor, with sampling: log" if is_log else "has a step > 0"
            raise _invalid(name, rule, step)
        return cls(name, kind, low=low, high=high, step=step, is_log=is_log, when=when)

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON values in canonical form."""
        entry: dict[str, Any] = {"type": self.kind}
        if self.kind == "choice":
            entry["values"] = list(self.values)
        else:
            entry |= {"min": self.low, "max": self.high}
            entry |= {} if self.step is None else {"step": self.step}
            entry |= {"sampling": "log"} if self.is_log else {}
        if self.when:
            entry["when"] = {name: list(values) for name, values in self.when.items()}
        return entry

    @property
    def is_bool(self) -> bool:
        """Whether the choice is between true and false."""
        return self.kind == "choice" and set(map(type, self.values)) == {bool}

    @property
    def labels(self) -> tuple[Value, ...]:
        """The values of a choice converted to one type, as KerasTuner requires."""
        kinds = set(map(type, self.values))
        if kinds <= {int, float} and len(kinds) == 2:
            return tuple(map(float, self.values))
        if len(kinds) == 1 and kinds <= {str, int, float, bool}:
            return self.values
        return tuple(map(json.dumps, self.values))

    def label(self, value: Any) -> Value:
        """Return the label of a value of a choice.

        Raises:
            ValueError: It is not a value of the choice.
        """
        return self.labels[self.values.index(value)]

    def value(self, label: Value) -> Any:
        """Return the value of a label or a sampled number."""
        if self.kind == "choice":
            return self.values[self.labels.index(label)]
        if self.kind == "int":
            return int(label)
        # Round 0.30000000000000004, an artefact of steps.
        return float(f"{float(label):.6g}")

    def samples(self) -> list[Any]:
        """Return values for validation: those of a choice, or the ends of a range."""
        if self.kind == "choice":
            return list(self.values)
        return [self.value(end) for end in (self.low, self.high) if end is not None]


def _invalid(name: str, rule: str, received: object) -> ValueError:
    return ValueError(
        f"The entry `{name}` of a search space {rule}. Received: {received!r}. See "
        "docs/search.md, or the default space, tuner/searching/default_space.yaml."
    )


def _read_values(name: str, values: object) -> tuple[Any, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise _invalid(name, "needs `values:`, a list of at least one value", values)
    read = tuple(map(plain_number, values))
    with contextlib.suppress(TypeError, ValueError):
        if len({json.dumps(value) for value in read}) == len(read):
            return read
    raise _invalid(name, "needs plain values that differ from each other", values)


def _read_number(name: str, key: str, value: object, kind: str) -> float:
    number = plain_number(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise _invalid(name, f"needs `{key}:`, a number", value)
    if not math.isfinite(number) or (kind == "int" and number != int(number)):
        raise _invalid(name, f"needs a {'whole' if kind == 'int' else 'finite'} `{key}`", value)
    return int(number) if kind == "int" else float(number)


def _read_when(name: str, when: object) -> dict[str, tuple[Any, ...]] | None:
    if when is None:
        return None
    if not isinstance(when, Mapping) or not when:
        raise _invalid(name, "has `when:` settings and their values", when)
    read = {}
    for parent, values in when.items():
        listed = values if isinstance(values, list) else [values]
        read[str(parent)] = tuple(map(plain_number, listed))
    return read
