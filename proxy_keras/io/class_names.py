"""Files of class names."""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proxy_keras.io.names import canonical


def read_class_names(file: str | os.PathLike[str]) -> list[str]:
    """Read class names from a JSON file.

    Args:
        file: A list in order of class id, an object of names by class id, or an object of class ids
            by name, which is what Keras calls `class_indices`. An object whose values are all
            integers is of the last kind, whatever its keys.

    Returns:
        Names by class id.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It contains something else, or a name or key twice.
    """
    file = Path(file)
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist. Pass a JSON file of class names.")
    repeated: list[str] = []

    def to_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        # JSON allows a key twice, and Python keeps only the last.
        repeated.extend(_repeated([key for key, _ in pairs]))
        return dict(pairs)

    try:
        content = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=to_object)
    except ValueError as error:
        content, received = None, f"invalid JSON ({error})"
    else:
        received = reprlib.repr(content)
    if repeated:
        raise ValueError(f"{file} must have each key once. Repeated: {', '.join(repeated)}")
    if isinstance(content, dict):
        content = _in_order(file, content)
    if not isinstance(content, list) or not all(_is_name(name) for name in content):
        raise ValueError(
            f'{file} must contain a JSON list of class names, such as ["cat", "dog"], an object by '
            'class id, such as {"0": "cat", "1": "dog"}, or an object by class name, such as '
            f'{{"cat": 0, "dog": 1}}. Received: {received}'
        )
    names = [canonical(str(name)) for name in content]
    if twice := _repeated(names):
        raise ValueError(f"{file} must have unique class names. Repeated: {', '.join(twice)}")
    return names


def check_order(file: str | os.PathLike[str], given: Sequence[str], known: Sequence[str]) -> None:
    """Check that class names are not those of the training data in another order.

    Args:
        file: File of the given names, for the message.
        given: Names by class id.
        known: Names of the training data, by class id. Other names are fine, such as translations.

    Raises:
        ValueError: Both have the same names, in different orders.
    """
    if list(given) != list(known) and sorted(given) == sorted(known):
        place = next(n for n, (a, b) in enumerate(zip(given, known, strict=True)) if a != b)
        raise ValueError(
            f"{file} has the class names of the training data in another order: class {place} is "
            f"{known[place]!r}. Received: {given[place]!r}. Correct the order, or remove --labels."
        )


def _in_order(file: Path, content: dict[str, Any]) -> list[Any] | None:
    """Return the names of an object by class id; None if it is neither kind of object."""
    numbers = list(content.values())
    if content and all(isinstance(one, int) and not isinstance(one, bool) for one in numbers):
        if sorted(numbers) != list(range(len(numbers))):
            raise ValueError(
                f"{file} maps class names to numbers, which must be 0 to {len(numbers) - 1}, each "
                f"once. Received: {reprlib.repr(content)}. If the numbers are the class names, "
                "write them as strings."
            )
        return sorted(content, key=content.__getitem__)
    if content.keys() == {str(number) for number in range(len(content))}:
        return [content[str(number)] for number in range(len(content))]
    return None


def _is_name(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _repeated(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name for name in names if names.count(name) > 1))
