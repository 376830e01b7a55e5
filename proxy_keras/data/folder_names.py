"""Folders by their names: which split each is."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from proxy_keras.data.left_out import is_left_out
from proxy_keras.data.records import TEST, TRAIN, VAL

_SPLIT_OF_WORD = {
    "train": TRAIN,
    "training": TRAIN,
    "trn": TRAIN,
    "trainval": TRAIN,
    "val": VAL,
    "vali": VAL,
    "valid": VAL,
    "validate": VAL,
    "validation": VAL,
    "dev": VAL,
    "test": TEST,
    "testing": TEST,
    "tst": TEST,
}

# Words that say nothing beside the word for the split, as in `train_images` and `TestSet2`.
_FILLING_WORDS = frozenset(
    "a all b class classes crop cropped crops data dataset dir file files final folder image "
    "imagefolder imagenet images img imgs jpeg jpegs jpg jpgs my new old original part photo "
    "photos pic pics picture pictures png pngs raw real resized sample samples set sets small "
    "split subset the v".split()
)

_GLUED = re.compile(
    r"(?P<split>training|train|trn|validation|valid|val|dev|testing|test|tst)"
    r"(?P<filling>dataset|data|sets?|images?|imgs?|files?|split|photos|pictures)"
)


def splits_of_folders(names: Iterable[str]) -> dict[str, str]:
    """Return the split that each folder means, for those that mean one.

    Case, numbers, and words such as "set" or "images" do not count: `Train`, `test1`,
    `validation_images`, `TestSet`. Neither does any other prefix or suffix that the folders of
    at least two splits share: `cars_train` beside `cars_test`.

    Args:
        names: Names of the folders beside each other.

    Returns:
        "train", "val" or "test" by the name of the folder.
    """
    found: dict[str, str] = {}
    others: dict[str, dict[str, str]] = defaultdict(dict)
    for name in names:
        words = _words(name)
        splits = [_SPLIT_OF_WORD[word] for word in words if word in _SPLIT_OF_WORD]
        if len(splits) != 1:
            continue
        rest = [w for w in words if w not in _SPLIT_OF_WORD and w not in _FILLING_WORDS]
        if rest:
            others[" ".join(rest)][name] = splits[0]
        else:
            found[name] = splits[0]
    for same_rest in others.values():
        if TRAIN in same_rest.values() and len(set(same_rest.values())) > 1:
            found.update(same_rest)
    return found


def folders_in(path: Path) -> list[str]:
    """Return the sorted names of the folders in a folder, without those of `is_left_out`."""
    return sorted(
        entry.name for entry in os.scandir(path) if is_folder(entry) and not is_left_out(entry.name)
    )


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one."""
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself.
        return False


def _words(name: str) -> list[str]:
    """Return the words of a name in lower case, without numbers: "TestSet_2" is test, set."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words: list[str] = []
    for word in re.findall(r"[^\W\d_]+", apart.casefold()):
        glued = _GLUED.fullmatch(word)
        words += [glued["split"], glued["filling"]] if glued else [word]
    return words
