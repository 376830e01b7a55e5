"""How a setting is declared: its type, bounds or choices, default and help, in one place.

Settings are fields of dataclasses made by `settings`. Value checks, command-line options, tables in
the documentation and help texts are all made from the declarations.
"""

from __future__ import annotations

import dataclasses
import functools
import textwrap
import types
from collections.abc import Iterator, Sequence
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np
import pydantic
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")
_STRICT = pydantic.ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclasses.dataclass(frozen=True)
class Setting:
    """What people read about a setting, besides its name, type and default.

    Attributes:
        help: What it does, in a sentence or two of Markdown.
        metavar: Placeholder of its value on the command line.
        option: Its command-line option, where that is not its name.
        unset: What None means, in a word or two.
        unit: Unit of its value.
        names: Names that its text can start with, where they are no more than a part of it.
    """

    help: str
    metavar: str = ""
    option: str = ""
    unset: str = ""
    unit: str = ""
    names: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class OneOf:
    """A rule: the text is one of some names.

    Attributes:
        names: The names.
    """

    names: Sequence[str]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def check(value: str) -> str:
            if value not in self.names:
                raise ValueError(f"{value!r} is not one of the names")
            return value

        return core_schema.no_info_after_validator_function(check, handler(source))


class Rule(pydantic.AfterValidator):
    """A rule that a function checks: it raises ValueError with a message of its own."""


def _plain_number(value: object) -> object:
    """Return a number for a NumPy scalar and for text such as "1e-3", which YAML reads as text."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        try:
            value = float(value) if "e" in value.lower() else value
        except ValueError:
            return value
    return value


def _plain_integer(value: object) -> object:
    value = _plain_number(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


Number = Annotated[float, BeforeValidator(_plain_number)]
Integer = Annotated[int, BeforeValidator(_plain_integer)]
Share = Annotated[Number, Field(ge=0.0, le=1.0)]
PositiveShare = Annotated[Number, Field(gt=0.0, le=1.0)]
ProperShare = Annotated[Number, Field(gt=0.0, lt=1.0)]
NonNegative = Annotated[Number, Field(ge=0.0)]
Positive = Annotated[Number, Field(gt=0.0)]
Count = Annotated[Integer, Field(ge=1)]
NonNegativeInteger = Annotated[Integer, Field(ge=0)]
Texts = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
]


def require(ok: bool, rule: str, received: object) -> None:
    """Raise ValueError with the rule and the value received, unless `ok`."""
    if not ok:
        raise ValueError(f"{rule} Received: {received!r}")


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


@dataclasses.dataclass(frozen=True)
class Declared:
    """One declared setting.

    Attributes:
        name: Name of the field.
        type: Its annotated type.
        default: Its default; `dataclasses.MISSING` where it must be given.
        about: What people read about it.
    """

    name: str
    type: Any
    default: Any
    about: Setting

    @property
    def option(self) -> str:
        """The command-line option."""
        return self.about.option or f"--{self.name.replace('_', '-')}"

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts that it can be; empty where it is not one of some names."""
        names: list[str] = []
        for part in _parts(self.type):
            if isinstance(part, OneOf):
                names += part.names
            elif get_origin(part) is Literal:
                names += get_args(part)
        return tuple(names)

    @property
    def is_flag(self) -> bool:
        """Whether it is on or off."""
        return bool in _parts(self.type)

    @property
    def is_number(self) -> bool:
        """Whether it can be a number."""
        return not {int, float}.isdisjoint(p for p in _parts(self.type) if isinstance(p, type))

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole number."""
        return self.is_number and float not in _parts(self.type)

    @property
    def default_text(self) -> str:
        """The default in words; empty where there is none."""
        default = self.default
        if isinstance(default, bool):
            return "on" if default else "off"
        if default is None:
            return self.about.unset
        if default is dataclasses.MISSING or isinstance(default, dict | tuple):
            return ""
        return f"{default:g}" if isinstance(default, float) else str(default)

    @property
    def rule(self) -> str:
        """Bounds, or the names where `about.help` does not explain them all; else empty."""
        if self.is_number:
            return self._rule("")
        is_explained = all(f"`{name}`" in self.about.help for name in self.choices)
        return "" if is_explained else self._rule(None)

    def check(self, value: object) -> None:
        """Check a value by itself, without the rules that involve other settings.

        Raises:
            ValueError: It breaks the setting's rule; the message is that of the constructor.
        """
        try:
            TypeAdapter(self.type, config=_STRICT).validate_python(value)
        except ValidationError as error:
            raise ValueError(self.broken(value, error.errors()[0])) from None

    def broken(self, value: object, error: Any) -> str:
        """Return the message for a value that breaks the rule."""
        if error["type"] == "value_error" and any(isinstance(p, Rule) for p in _parts(self.type)):
            return str(error["ctx"]["error"])
        return f"`{self.name}` must be {self._rule(value)}. Received: {value!r}"

    def _rule(self, value: object) -> str:
        if self.is_flag:
            return "true or false"
        if not self.is_number:
            choices = self.choices
            return f"one of {', '.join(choices)}" if choices else self._kind()
        is_right = isinstance(value, int | float) and not isinstance(value, bool)
        if self.is_whole and isinstance(value, float):
            is_right = value.is_integer()
        words = [] if is_right else ["a whole number" if self.is_whole else "a number"]
        words += [text for text in (self._bounds(), self.about.unit) if text]
        rule = " ".join(words) or "a finite number"
        return rule + "".join(f", or {name!r}" for name in self.choices)

    def _kind(self) -> str:
        parts = _parts(self.type)
        if dict in parts:
            return "a mapping of names to values"
        return "a list of texts, such as ['cutmix']" if tuple in parts else "text"

    def _bounds(self) -> str:
        bounds = {type(part): part for part in _parts(self.type)}
        low, high = bounds.get(Ge) or bounds.get(Gt), bounds.get(Le) or bounds.get(Lt)
        if low is None:
            return ""
        least = low.ge if isinstance(low, Ge) else low.gt
        if high is None:
            return f"{'>=' if isinstance(low, Ge) else '>'} {least:g}"
        most = high.le if isinstance(high, Le) else high.lt
        left, right = "[" if isinstance(low, Ge) else "(", "]" if isinstance(high, Le) else ")"
        return f"in {left}{least:g}, {most:g}{right}"


@functools.cache
def declared(cls: type) -> dict[str, Declared]:
    """Return the settings that a class declares, by name; nested settings are left out."""
    hints = get_type_hints(cls, include_extras=True)
    found = {}
    for field in dataclasses.fields(cls):
        about = [part for part in _parts(hints[field.name]) if isinstance(part, Setting)]
        if about:
            default = field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            found[field.name] = Declared(field.name, hints[field.name], default, about[0])
    return found


def arguments_text(cls: type, *, indent: int) -> str:
    """Return the settings of a class as the arguments section of a docstring.

    Args:
        cls: The class that declares them.
        indent: Columns before the first line.
    """
    blocks = []
    for name, setting in declared(cls).items():
        text = f"{name}: {setting.about.help}"
        if setting.rule:
            text += f" Must be {setting.rule}."
        if setting.default_text:
            text += f" Default: {setting.default_text}."
        space = " " * indent
        wrapped = textwrap.wrap(text, 100, initial_indent=space, subsequent_indent=space + "    ")
        blocks.append("\n".join(wrapped))
    return "\n".join(blocks).lstrip()


def _parts(hint: Any) -> list[Any]:
    """Return everything that an annotated type is made of: types, literals, bounds, notes."""
    return list(_walk(hint))


def _walk(hint: Any) -> Iterator[Any]:
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *notes = get_args(hint)
        yield from _walk(inner)
        for note in notes:
            yield from getattr(note, "metadata", None) or [note]
    elif origin in (Union, types.UnionType):
        for part in get_args(hint):
            yield from _walk(part)
    else:
        yield hint if origin in (None, Literal) else origin


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
        return known[name].broken(first["input"], first)
    if "error" in first.get("ctx", {}):
        return str(first["ctx"]["error"])
    return f"`{name}` of {cls.__name__}: {first['msg']}. Received: {first['input']!r}"
