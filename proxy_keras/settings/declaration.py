"""How a setting is declared: its type, bounds or choices, default and help, in one place.

Settings are fields of dataclasses made by `checking.settings`. Value checks, command-line options,
tables in the documentation and help texts are all made from the declarations.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from proxy_keras.settings.rules import OneOf


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
    def parts(self) -> list[Any]:
        """Everything that the type is made of: types, literals, bounds, notes."""
        return list(_parts(self.type))

    @property
    def option(self) -> str:
        """The command-line option."""
        return self.about.option or f"--{self.name.replace('_', '-')}"

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts that it can be; empty where it is not one of some names."""
        names: list[str] = []
        for part in self.parts:
            if isinstance(part, OneOf):
                names += part.names
            elif get_origin(part) is Literal:
                names += get_args(part)
        return tuple(names)

    @property
    def is_flag(self) -> bool:
        """Whether it is on or off."""
        return bool in self.parts

    @property
    def is_number(self) -> bool:
        """Whether it can be a number."""
        return not {int, float}.isdisjoint(p for p in self.parts if isinstance(p, type))

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole number."""
        return self.is_number and float not in self.parts


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


def _parts(hint: Any) -> Iterator[Any]:
    """Yield everything that an annotated type is made of."""
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *notes = get_args(hint)
        yield from _parts(inner)
        for note in notes:
            yield from getattr(note, "metadata", None) or [note]
    elif origin in (Union, types.UnionType):
        for part in get_args(hint):
            yield from _parts(part)
    else:
        yield hint if origin in (None, Literal) else origin
