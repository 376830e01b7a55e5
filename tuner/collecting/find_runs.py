"""Finds the runs below folders: our run folders, and TensorBoard event files of others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

RUN_FILES = ("config.json", "run.json")
"""The files by which a folder is known as a run folder."""

EVENT_PREFIX = "events.out.tfevents."
TRAINING = frozenset({"train", "training"})
HELD_OUT = frozenset({"val", "valid", "validation", "eval", "test"})
"""Folders that hold the events of one split, and belong to the run that is the folder above."""


@dataclass(frozen=True)
class Found:
    """A run that has not been read.

    Attributes:
        folder: Where it is, absolute.
        name: Its path from the folder that was searched.
        event_files: The TensorBoard files that it is to be read from; empty: a run folder.
    """

    folder: Path
    name: str
    event_files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Search:
    """What was found.

    Attributes:
        runs: By name.
        closed: Folders that could not be listed, and why.
    """

    runs: list[Found]
    closed: list[tuple[str, str]]


def find_runs(folders: Sequence[Path]) -> Search:
    """All runs below folders, each once.

    Nothing is looked for inside a run folder, in folders whose name begins with a dot, or behind
    symbolic links. A folder that lies inside a run folder stands for that run.

    Args:
        folders: Where to look. With more than one, names begin with the folder as it was given.

    Raises:
        ValueError: A folder does not exist.
    """
    runs: dict[Path, Found] = {}
    closed: list[tuple[str, str]] = []
    for given in folders:
        if not given.is_dir():
            raise ValueError(f"There is no folder {str(given)!r}.")
        resolved = given.resolve()
        root = next((f for f in (resolved, *resolved.parents) if _is_run(f)), resolved)
        events: dict[Path, list[Path]] = {}
        for path, subfolders, files in os.walk(root, onerror=lambda e: closed.append(_why(e))):
            folder = Path(path)
            if _is_run(folder):
                subfolders.clear()
                runs.setdefault(folder, Found(folder, _name(folder, root, given, folders)))
                continue
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            found = [folder / file for file in files if file.startswith(EVENT_PREFIX)]
            if found:
                events[folder] = found
        for folder, found in _by_run(events, root).items():
            name = _name(folder, root, given, folders)
            runs.setdefault(folder, Found(folder, name, tuple(sorted(found))))
    return Search(sorted(runs.values(), key=lambda run: run.name), closed)


def _by_run(events: dict[Path, list[Path]], root: Path) -> dict[Path, list[Path]]:
    """The event files by the folder of their run, given those of each folder.

    A folder of a split belongs to the one above. Where there is one for training and one for
    held-out images, as Keras writes them, everything else below does, too.
    """
    splits: dict[Path, set[str]] = {}
    for folder in events:
        if folder.name.lower() in TRAINING | HELD_OUT and folder != root:
            splits.setdefault(folder.parent, set()).add(folder.name.lower())
    whole = {f for f, names in splits.items() if names & TRAINING and names & HELD_OUT}
    runs: dict[Path, list[Path]] = {}
    for folder, files in events.items():
        if folder.name.lower() in splits.get(folder.parent, set()):
            run = folder.parent
        else:
            run = next((f for f in (folder, *folder.parents) if f in whole), folder)
        runs.setdefault(run, []).extend(files)
    return runs


def _is_run(folder: Path) -> bool:
    return all((folder / name).is_file() for name in RUN_FILES)


def _name(folder: Path, root: Path, given: Path, folders: Iterable[Path]) -> str:
    inner = folder.relative_to(root)
    if root == given.resolve() and len(set(folders)) > 1:
        inner = given / inner
    name = folder.name if inner == Path(".") else inner.as_posix()
    # A file name need not be text; what is no text could not be written to any table.
    return os.fsencode(name).decode("utf-8", "replace")


def _why(error: OSError) -> tuple[str, str]:
    return str(error.filename), error.strerror or type(error).__name__
