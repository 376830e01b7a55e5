"""Types and rules of the values of settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import pydantic
from pydantic import BeforeValidator, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


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


def plain_number(value: object) -> object:
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
    value = plain_number(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


Number = Annotated[float, BeforeValidator(plain_number)]
Integer = Annotated[int, BeforeValidator(_plain_integer)]
Share = Annotated[Number, Field(ge=0.0, le=1.0)]
PositiveShare = Annotated[Number, Field(gt=0.0, le=1.0)]
ProperShare = Annotated[Number, Field(gt=0.0, lt=1.0)]
NonNegative = Annotated[Number, Field(ge=0.0)]
Positive = Annotated[Number, Field(gt=0.0)]
Count = Annotated[Integer, Field(ge=1)]
NonNegativeInteger = Annotated[Integer, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
]


def require(ok: bool, rule: str, received: object) -> None:
    """Raise ValueError with the rule and the value received, unless `ok`."""
    if not ok:
        raise ValueError(f"{rule} Received: {received!r}")
