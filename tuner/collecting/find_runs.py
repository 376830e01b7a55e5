"""Search for runs below folders: run folders, and TensorBoard event files of other tools."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuner.collecting.writer_folders import holds_curve, holds_hparams

RUN_FILES = ("config.json", "run.json")
"""The files that identify a run folder."""

EVENT_PREFIX = "events.out.tfevents."
TRAINING = frozenset({"train", "training"})
HELD_OUT = frozenset({"val", "valid", "validation", "eval", "test"})
"""Folders with the events of one split, which belong to the run of the parent folder."""


@dataclass(frozen=True)
class FoundRun:
    """Run that has not been read yet.

    Attributes:
        folder: Absolute path of the run.
        name: Path relative to the searched folder.
        event_files: TensorBoard files of the run; empty for a run folder.
    """

    folder: Path
    name: str
    event_files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class FoundRuns:
    """Result of a search for runs.

    Attributes:
        runs: The runs, sorted by name.
        unreadable: Folders that could not be listed, with the reason.
    """

    runs: list[FoundRun]
    unreadable: list[tuple[str, str]]


def find_runs(folders: Sequence[Path]) -> FoundRuns:
    """Return all runs below folders, without duplicates.

    The search skips the inside of run folders, hidden folders and symbolic links. A folder inside
    a run folder is taken as that run.

    Args:
        folders: Folders to search. With more than one, names start with the given folder.

    Raises:
        ValueError: A folder does not exist.
    """
    runs: dict[Path, FoundRun] = {}
    unreadable: list[tuple[str, str]] = []
    for given in folders:
        if not given.is_dir():
            raise ValueError(f"There is no folder {str(given)!r}.")
        resolved = given.resolve()
        root = next((f for f in (resolved, *resolved.parents) if _is_run(f)), resolved)
        events: dict[Path, list[Path]] = {}
        for path, subfolders, files in os.walk(
            root, onerror=lambda e: unreadable.append(_reason(e))
        ):
            folder = Path(path)
            if _is_run(folder):
                subfolders.clear()
                runs.setdefault(folder, FoundRun(folder, _name(folder, root, given, folders)))
                continue
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            found = [folder / file for file in files if file.startswith(EVENT_PREFIX)]
            if found:
                events[folder] = found
        for folder, found in _by_run(events, root).items():
            name = _name(folder, root, given, folders)
            runs.setdefault(folder, FoundRun(folder, name, tuple(sorted(found))))
    return FoundRuns(sorted(runs.values(), key=lambda run: run.name), unreadable)


def _by_run(events: dict[Path, list[Path]], root: Path) -> dict[Path, list[Path]]:
    """Group event files, given by folder, by the folder of their run.

    The folder of a split belongs to its parent. If a parent has folders for training and for
    held-out images, as Keras writes them, all other folders below also belong to it. So do the
    folders that PyTorch's writer makes for parts of a run.
    """
    parts = _parts(events)
    splits: dict[Path, set[str]] = {}
    for folder in events:
        if folder.name.lower() in TRAINING | HELD_OUT and folder != root:
            splits.setdefault(folder.parent, set()).add(folder.name.lower())
    whole = {f for f, names in splits.items() if names & TRAINING and names & HELD_OUT}
    runs: dict[Path, list[Path]] = {}
    for path, files in events.items():
        folder = path
        while folder in parts:
            folder = parts[folder]
        if folder.name.lower() in splits.get(folder.parent, set()):
            run = folder.parent
        else:
            run = next((f for f in (folder, *folder.parents) if f in whole), folder)
        runs.setdefault(run, []).extend(files)
    return runs


def _parts(events: dict[Path, list[Path]]) -> dict[Path, Path]:
    """Return the folders that hold parts of a run, with the folder that they are part of."""
    parts: dict[Path, Path] = {}
    hparams: dict[Path, list[Path]] = {}
    for folder, files in events.items():
        above = next((parent for parent in folder.parents if parent in events), None)
        if above is None:
            continue
        if holds_curve(files, folder.relative_to(above).as_posix()):
            parts[folder] = above
        elif folder.parent == above and holds_hparams(files):
            hparams.setdefault(above, []).append(folder)
    # Several calls of `add_hparams` record several runs, as in a search without training curves.
    return parts | {found[0]: above for above, found in hparams.items() if len(found) == 1}


def _is_run(folder: Path) -> bool:
    return all((folder / name).is_file() for name in RUN_FILES)


def _name(folder: Path, root: Path, given: Path, folders: Iterable[Path]) -> str:
    inner = folder.relative_to(root)
    if root == given.resolve() and len(set(folders)) > 1:
        inner = given / inner
    name = folder.name if inner == Path(".") else inner.as_posix()
    # File names may be invalid UTF-8, which cannot be written to a table.
    return os.fsencode(name).decode("utf-8", "replace")


def _reason(error: OSError) -> tuple[str, str]:
    return str(error.filename), error.strerror or type(error).__name__
