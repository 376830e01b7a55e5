"""Checks of settings: all of them when they are made, or one value by itself."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, TypeVar, dataclass_transform

import pydantic
from pydantic import TypeAdapter, ValidationError

from proxy_keras.settings.declaration import Declared, declared
from proxy_keras.settings.rules import Rule
from proxy_keras.settings.wording import required

T = TypeVar("T")
_STRICT = pydantic.ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def settings(cls: type[T]) -> type[T]:
    """Make a frozen dataclass whose values are checked when it is made.

    A broken rule raises ValueError with the rule, what came, and the name of the setting.
    """
    made: Any = pydantic.dataclasses.dataclass(frozen=True, config=_STRICT)(cls)
    check = made.__init__

    @functools.wraps(check)
    def init(self: Any, *args: Any, **values: Any) -> None:
        try:
            check(self, *args, **values)
        except ValidationError as error:
            raise ValueError(_message(made, error)) from None

    made.__init__ = init
    return made  # type: ignore[no-any-return]


def check(setting: Declared, value: object, *, name: str = "") -> None:
    """Check a value by itself, without the rules that involve other settings.

    Args:
        setting: The setting.
        value: The value.
        name: What the message calls the setting; by default, its name.

    Raises:
        ValueError: It breaks the setting's rule; the message is that of the constructor.
    """
    try:
        TypeAdapter(setting.type, config=_STRICT).validate_python(value)
    except ValidationError as error:
        raise ValueError(_broken(setting, value, error.errors()[0], name)) from None


def _broken(setting: Declared, value: object, error: Any, name: str = "") -> str:
    """Return the message for a value that breaks the rule."""
    if error["type"] == "value_error" and any(isinstance(part, Rule) for part in setting.parts):
        return str(error["ctx"]["error"])
    return f"`{name or setting.name}` must be {required(setting, value)}. Received: {value!r}"


def _message(cls: type, error: ValidationError) -> str:
    """Return the message for the first broken rule."""
    first = error.errors()[0]
    known = declared(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    place = first["loc"][0] if first["loc"] else ""
    name = names[place] if isinstance(place, int) else place
    if first["type"] == "unexpected_keyword_argument":
        return f"Settings of {cls.__name__} are {', '.join(names)}. Received: {name!r}"
    if first["type"] == "missing":
        return f"{cls.__name__} needs `{name}`."
    if name in known:
        return _broken(known[name], first["input"], first)
    if "error" in first.get("ctx", {}):
        return str(first["ctx"]["error"])
    return f"`{name}` of {cls.__name__}: {first['msg']}. Received: {first['input']!r}"
