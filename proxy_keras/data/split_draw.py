"""Draws the split: seeded, stratified, the same whatever the files are called or their order."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from proxy_keras.data.records import TEST, TRAIN, VAL, Record, Skipped
from proxy_keras.data.split_table import SplitTable

_ID_LENGTH = 16


@dataclass(frozen=True)
class SplitDraw:
    """A split and what was noticed while it was made.

    Attributes:
        table: The split.
        set_aside: Training (or validation) images left out because they are copies of test (or
            validation) images.
        conflicting: Groups of records that show the same picture under different labels.
        given: The splits that the records came with; others were drawn.
    """

    table: SplitTable
    set_aside: tuple[Skipped, ...]
    conflicting: tuple[tuple[Record, ...], ...]
    given: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Place:
    split: str
    fold: int | None = None


def draw_split(
    records: Iterable[Record],
    *,
    seed: int,
    val: float = 0.15,
    test: float = 0.15,
    folds: int | None = None,
    fold: int | None = None,
    classes: Sequence[str] | None = None,
) -> SplitDraw:
    """Each record's split, which depends on (seed, label, content) and the given split alone.

    Within a class, the distinct pictures are ordered by a hash of seed and content; the first ones
    are test, the next val, the others train. Shares count distinct pictures, copies go with their
    picture, so that no picture is in two splits. Splits that the records give are kept; those that
    they lack are drawn from train.

    Args:
        records: The images, in any order.
        seed: Another seed gives another split.
        val: Share of the (training) pictures of each class for validation, in (0, 1); a split is
            given one picture at least.
        test: The same for test; `val + test < 1`.
        folds: Number of folds for cross-validation; the pictures outside test are dealt to them in
            turn, and `val` is fold number `fold` in place of a share.
        fold: Which fold is val, in [0, folds).
        classes: Class names by class id; None: the labels, sorted.

    Returns:
        The split, the copies that were set aside, and the pictures with two labels.

    Raises:
        ValueError: A share or a fold is out of range, a class has too few pictures to be in every
            split, there is only one class, or a label is not in `classes`.
    """
    records = list(records)
    _check_shares(val, test, folds, fold)
    kept, set_aside = _without_straddling(records)
    given = {record.split for record in kept if record.split is not None}
    if folds is not None and VAL in given:
        raise ValueError("The data give a validation split, so there are no folds to draw.")
    if given and TRAIN not in given:
        raise ValueError(f"The data give {' and '.join(sorted(given))}, but no training images.")

    place_of = {r.content_hash: _Place(r.split) for r in kept if r.split in (VAL, TEST)}
    for label, pictures in _free_pictures(kept, seed).items():
        places = _deal(label, len(pictures), given, val, test, folds, fold)
        place_of.update(zip(pictures, places, strict=True))

    names = tuple(classes) if classes is not None else tuple(sorted({r.label for r in kept}))
    numbered = _numbered(kept)
    table = _table(numbered, {id_: place_of[r.content_hash] for id_, r in numbered}, names)
    _check_filled(table, drawn={TRAIN, VAL, TEST} - given | {TRAIN})
    return SplitDraw(table, set_aside, _conflicting(records), frozenset(given))


def relink_split(saved: SplitTable, records: Iterable[Record]) -> SplitDraw:
    """The saved split, with the paths at which its images are found now.

    Args:
        saved: A split drawn earlier from the same images.
        records: The images as they are found now, in any order, under any name.

    Raises:
        ValueError: Images are missing, new, or under another label or given split.
    """
    records = list(records)
    kept, set_aside = _without_straddling(records)
    given = {record.split for record in kept if record.split is not None}
    folds = saved.folds or (None,) * len(saved)
    places = dict(zip(saved.example_ids, map(_Place, saved.splits, folds), strict=True))
    numbered = _numbered(kept)
    found = {}
    for id_, record in numbered:
        place = places.get(id_, _Place(record.split or TRAIN))
        was_free = record.split is None or (record.split == TRAIN and place.split not in given)
        found[id_] = place if was_free else _Place(record.split or TRAIN, place.fold)
    names = tuple(dict.fromkeys([*saved.classes, *sorted(record.label for record in kept)]))
    table = saved.with_paths_of(_table(numbered, found, names))
    return SplitDraw(table, set_aside, _conflicting(records), frozenset(given))


def _without_straddling(
    records: Sequence[Record],
) -> tuple[list[Record], tuple[Skipped, ...]]:
    """Records without those whose picture is, by the given splits, also in test (or val)."""
    first: dict[tuple[str, str], str] = {}
    for record in sorted(records, key=lambda record: record.path):
        if record.split is not None:
            first.setdefault((record.content_hash, record.split), record.path)
    kept, set_aside = [], []
    for record in records:
        stricter = {TEST: (), VAL: (TEST,)}.get(record.split or TRAIN, (TEST, VAL))
        for split in stricter:
            if original := first.get((record.content_hash, split)):
                name = {TEST: "test", VAL: "validation"}[split]
                set_aside.append(Skipped(record.path, f"copy of a {name} image: {original}"))
                break
        else:
            kept.append(record)
    return kept, tuple(sorted(set_aside, key=lambda item: item.path))


def _free_pictures(records: Iterable[Record], seed: int) -> dict[str, list[str]]:
    """Content hashes by class, in the order of the draw, without those of a given val or test."""
    labels_of: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if record.split in (None, TRAIN):
            labels_of[record.content_hash].add(record.label)
    pictures: dict[str, list[str]] = defaultdict(list)
    for content, labels in labels_of.items():
        # A picture under two labels is dealt once, with the first of them.
        pictures[min(labels)].append(content)
    for contents in pictures.values():
        contents.sort(key=lambda content: hashlib.sha256(f"{seed}:{content}".encode()).digest())
    return pictures


def _deal(
    label: str,
    count: int,
    given: set[str],
    val: float,
    test: float,
    folds: int | None,
    fold: int | None,
) -> list[_Place]:
    """The places of a class's pictures, in their order."""
    num_test = 0 if TEST in given else _quota(count, test)
    if folds is not None:
        if count - num_test < folds:
            raise ValueError(
                f"Class {label!r} has {count} pictures to draw from: {num_test} for test leave "
                f"{count - num_test}, too few for {folds} folds. Add pictures or use fewer folds."
            )
        dealt = [index % folds for index in range(count - num_test)]
        return [_Place(TEST)] * num_test + [_Place(VAL if f == fold else TRAIN, f) for f in dealt]
    num_val = 0 if VAL in given else _quota(count, val)
    num_train = count - num_test - num_val
    if num_train < 1:
        raise ValueError(
            f"Class {label!r} has {count} pictures to draw from, too few for every split: "
            f"{num_test} for test and {num_val} for val leave {max(num_train, 0)} for train. Add "
            "pictures, leave the class out, or lower `val` and `test`."
        )
    return [_Place(TEST)] * num_test + [_Place(VAL)] * num_val + [_Place(TRAIN)] * num_train


def _quota(count: int, share: float) -> int:
    """The share of the count, to the nearest whole number, but one at least."""
    return max(1, math.floor(count * share + 0.5))


def _numbered(records: Iterable[Record]) -> list[tuple[str, Record]]:
    """Records with their example ids, sorted by id."""
    copies: Counter[str] = Counter()
    numbered = []
    for record in sorted(records, key=lambda r: (r.content_hash, r.label, r.split or "", r.path)):
        start = record.content_hash[:_ID_LENGTH]
        numbered.append((f"{start}-{copies[start]}" if copies[start] else start, record))
        copies[start] += 1
    return sorted(numbered, key=lambda pair: pair[0])


def _table(
    numbered: Sequence[tuple[str, Record]], places: Mapping[str, _Place], classes: tuple[str, ...]
) -> SplitTable:
    folds = tuple(places[id_].fold for id_, _ in numbered)
    return SplitTable(
        example_ids=tuple(id_ for id_, _ in numbered),
        paths=tuple(record.path for _, record in numbered),
        labels=tuple(record.label for _, record in numbered),
        splits=tuple(places[id_].split for id_, _ in numbered),
        content_hashes=tuple(record.content_hash for _, record in numbered),
        classes=classes,
        folds=None if all(fold is None for fold in folds) else folds,
    )


def _conflicting(records: Iterable[Record]) -> tuple[tuple[Record, ...], ...]:
    """Groups of records with the same picture under more than one label."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.path):
        groups[record.content_hash].append(record)
    return tuple(
        tuple(group) for group in groups.values() if len({record.label for record in group}) > 1
    )


def _check_shares(val: float, test: float, folds: int | None, fold: int | None) -> None:
    if not (0 < val < 1 and 0 < test < 1 and val + test < 1):
        raise ValueError(
            f"`val` and `test` must be in (0, 1), with a sum below 1. Received: val={val}, "
            f"test={test}"
        )
    if (folds is None) != (fold is None):
        raise ValueError(
            f"`folds` and `fold` go together: folds=5, fold=0. Received: folds={folds}, fold={fold}"
        )
    if folds is not None and fold is not None and not (folds >= 2 and 0 <= fold < folds):
        raise ValueError(
            f"`folds` must be >= 2 and `fold` in [0, folds). Received: folds={folds}, fold={fold}"
        )


def _check_filled(table: SplitTable, drawn: set[str]) -> None:
    """Every class that occurs is in train and in every split that was drawn."""
    counts = Counter(zip(table.labels, table.splits, strict=True))
    present = sorted(set(table.labels))
    if len(present) < 2:
        raise ValueError(f"At least two classes are needed. Received: {present}")
    for label in present:
        if empty := sorted(split for split in drawn if not counts[label, split]):
            numbers = ", ".join(f"{counts[label, split]} {split}" for split in (TRAIN, VAL, TEST))
            raise ValueError(
                f"Class {label!r} has too few pictures to be in every split: {numbers}; none for "
                f"{', '.join(empty)}. Add pictures or leave the class out."
            )
