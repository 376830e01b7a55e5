"""Groups of image files from a table, `groups.csv`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from proxy_keras.io.csv_table import Cells, read_csv_table
from proxy_keras.io.names import canonical

GROUPS = "groups.csv"
"""The table that is looked up in the folder of the images."""

_COLUMNS = ("file", "group")


class GroupTable:
    """Groups by image file.

    The columns of the CSV file: `file` (path relative to the data's folder, with "/") and `group`
    (any text; empty: unknown). Other columns are ignored. Names of files and groups are compared in
    one Unicode normal form, and a byte of a file name that is not UTF-8 is written as `%F1`.

    Args:
        file: The CSV file.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: A column is missing, a row is incomplete, or a file has two groups.
    """

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self._file = Path(file)
        self._groups: dict[str, str] = {}
        for line, row in read_csv_table(self._file, _COLUMNS).lines:
            self._add(row, line)

    def __str__(self) -> str:
        """Return the path of the file."""
        return str(self._file)

    def of(self, paths: Sequence[str]) -> list[str | None]:
        """Return the group of each image, given its path; None: unknown.

        Raises:
            ValueError: The table has none of the images.
        """
        names = [canonical(path) for path in paths]
        if not any(name in self._groups for name in names):
            raise ValueError(
                f"{self} has {len(self._groups)} files, but none of the images. Name them like the "
                f"images of the data, e.g. {names[0]!r}. If it is no table of groups, rename it."
            )
        return [self._groups.get(name) or None for name in names]

    def without_image(self, paths: Sequence[str]) -> list[str]:
        """Return the files of the table that are not among some paths, sorted."""
        return sorted(self._groups.keys() - {canonical(path) for path in paths})

    def _add(self, row: Cells, line: int) -> None:
        file, group = (row[name] for name in _COLUMNS)
        if not file or group is None:
            raise ValueError(
                f"{self}, line {line}: a row needs a file and a group, which may be empty. "
                f"Received: file={file!r}, group={group!r}."
            )
        name, group = canonical(file), canonical(group)
        before = self._groups.setdefault(name, group)
        if before != group:
            raise ValueError(
                f"{self}, line {line}: {name!r} is in the groups {before!r} and {group!r}. An "
                "image has one group; join their names if it has several attributes."
            )
