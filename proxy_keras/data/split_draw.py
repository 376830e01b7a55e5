"""The draw of the split: seeded, stratified, independent of file names and their order."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter, itemgetter

from proxy_keras.data.records import TEST, TRAIN, VAL, Record, Skipped
from proxy_keras.data.split_table import SplitTable
from proxy_keras.io.names import canonical
from proxy_keras.io.paused_collection import paused_collection

_ID_LENGTH = 16


@dataclass(frozen=True)
class SplitDraw:
    """A split and the problems found while drawing it.

    Attributes:
        table: The split.
        leaking: Images left out of train or val because val or test has a copy of them.
        conflicting: Groups of records of the same picture under different labels.
        given: The splits that the records came with; others were drawn.
    """

    table: SplitTable
    leaking: tuple[Skipped, ...]
    conflicting: tuple[tuple[Record, ...], ...]
    given: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Assignment:
    split: str
    fold: int | None = None


@paused_collection()
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
    """Draw the split of each record by seed, label, content and given split alone.

    Within a class, the distinct pictures are ordered by a hash of seed and content; the first ones
    are test, the next val, the rest train. Shares count distinct pictures, and copies stay
    together, so no picture is in two splits. Splits given by the records are kept; missing ones
    are drawn from train.

    Args:
        records: The images, in any order.
        seed: Keys the draw.
        val: Share of the pictures of each class for validation, in (0, 1); at least one picture.
        test: The same for test; `val + test < 1`.
        folds: Number of folds for cross-validation; the pictures outside test are assigned to
            folds in turn, and val is fold number `fold` instead of a share.
        fold: Which fold is val, in [0, folds).
        classes: Class names by class id; None: the labels, sorted.

    Raises:
        ValueError: A share or a fold is out of range, a class has too few pictures for every
            split, there is only one class, or a label is not in `classes`.
    """
    records = list(records)
    _check_shares(val, test, folds, fold)
    kept, leaking = _drop_leaking(records)
    given = {record.split for record in kept if record.split is not None}
    if folds is not None and VAL in given:
        raise ValueError("The data already have a validation split. Remove `folds`.")
    if given and TRAIN not in given:
        raise ValueError(
            f"The data have {' and '.join(sorted(given))} images, but no training images."
        )

    assigned = {r.content_hash: _Assignment(r.split) for r in kept if r.split in (VAL, TEST)}
    for label, pictures in _pictures_to_draw(kept, seed).items():
        drawn = _assign(label, len(pictures), given, val, test, folds, fold)
        assigned.update(zip(pictures, drawn, strict=True))

    names = tuple(classes) if classes is not None else tuple(sorted({r.label for r in kept}))
    examples = _with_ids(kept)
    table = _table(examples, {id_: assigned[r.content_hash] for id_, r in examples}, names)
    _check_classes_present(table, drawn={TRAIN, VAL, TEST} - given | {TRAIN})
    return SplitDraw(table, leaking, _conflicting(records), frozenset(given))


@paused_collection()
def match_saved_split(saved: SplitTable, records: Iterable[Record]) -> SplitDraw:
    """Return a saved split with the current paths of its images.

    Args:
        saved: A split drawn earlier from the same images.
        records: The images as they are now, in any order and under any name.

    Raises:
        ValueError: Images are missing or new, or their label or given split has changed.
    """
    # The names may have been saved in another Unicode normal form.
    saved_name = {canonical(name): name for name in saved.classes}
    records = [
        replace(record, label=saved_name.get(canonical(record.label), record.label))
        for record in records
    ]
    kept, leaking = _drop_leaking(records)
    given = {record.split for record in kept if record.split is not None}
    folds = saved.folds or (None,) * len(saved)
    before = dict(zip(saved.example_ids, map(_Assignment, saved.splits, folds), strict=True))
    examples = _with_ids(kept)
    found = {}
    for id_, record in examples:
        old = before.get(id_, _Assignment(record.split or TRAIN))
        was_drawn = record.split is None or (record.split == TRAIN and old.split not in given)
        found[id_] = old if was_drawn else _Assignment(record.split or TRAIN, old.fold)
    names = tuple(dict.fromkeys([*saved.classes, *sorted(record.label for record in kept)]))
    table = saved.with_paths_of(_table(examples, found, names))
    return SplitDraw(table, leaking, _conflicting(records), frozenset(given))


def _drop_leaking(
    records: Sequence[Record],
) -> tuple[list[Record], tuple[Skipped, ...]]:
    """Drop records whose picture is also in a given test (or val) split."""
    first: dict[tuple[str, str], str] = {}
    given = [record for record in records if record.split is not None]
    for record in sorted(given, key=attrgetter("path")):
        first.setdefault((record.content_hash, str(record.split)), record.path)
    if not first:
        return list(records), ()
    kept, leaking = [], []
    for record in records:
        held_out = {TEST: (), VAL: (TEST,)}.get(record.split or TRAIN, (TEST, VAL))
        for split in held_out:
            if original := first.get((record.content_hash, split)):
                name = {TEST: "test", VAL: "validation"}[split]
                leaking.append(Skipped(record.path, f"copy of a {name} image: {original}"))
                break
        else:
            kept.append(record)
    return kept, tuple(sorted(leaking, key=lambda item: item.path))


def _pictures_to_draw(records: Iterable[Record], seed: int) -> dict[str, list[str]]:
    """Return content hashes by class in the order of the draw, without a given val or test."""
    label_of: dict[str, str] = {}
    for record in records:
        if record.split in (None, TRAIN):
            # A picture with two labels is drawn once, with the first of them.
            label = label_of.setdefault(record.content_hash, record.label)
            if record.label < label:
                label_of[record.content_hash] = record.label
    pictures: dict[str, list[str]] = defaultdict(list)
    for content, label in label_of.items():
        pictures[label].append(content)
    for contents in pictures.values():
        contents.sort(key=lambda content: hashlib.sha256(f"{seed}:{content}".encode()).digest())
    return pictures


def _assign(
    label: str,
    count: int,
    given: set[str],
    val: float,
    test: float,
    folds: int | None,
    fold: int | None,
) -> list[_Assignment]:
    """Assign the pictures of a class, in their order."""
    num_test = 0 if TEST in given else _quota(count, test)
    if folds is not None:
        if count - num_test < folds:
            raise ValueError(
                f"Class {label!r} has {count} pictures to draw from: {num_test} for test leave "
                f"{count - num_test}, too few for {folds} folds. Add pictures or use fewer folds."
            )
        drawn = [index % folds for index in range(count - num_test)]
        return [_Assignment(TEST)] * num_test + [
            _Assignment(VAL if f == fold else TRAIN, f) for f in drawn
        ]
    num_val = 0 if VAL in given else _quota(count, val)
    num_train = count - num_test - num_val
    if num_train < 1:
        raise ValueError(
            f"Class {label!r} has {count} pictures to draw from, too few for every split: "
            f"{num_test} for test and {num_val} for val leave {max(num_train, 0)} for train. Add "
            "pictures, leave the class out, or lower `val` and `test`."
        )
    return (
        [_Assignment(TEST)] * num_test
        + [_Assignment(VAL)] * num_val
        + [_Assignment(TRAIN)] * num_train
    )


def _quota(count: int, share: float) -> int:
    """Return the share of the count, rounded to the nearest integer, but at least one."""
    return max(1, math.floor(count * share + 0.5))


def _with_ids(records: Iterable[Record]) -> list[tuple[str, Record]]:
    """Return records with their example ids, sorted by id."""
    by_start: dict[str, Record | list[Record]] = {}
    for record in records:
        start = record.content_hash[:_ID_LENGTH]
        same = by_start.get(start)
        if same is None:
            by_start[start] = record
        elif isinstance(same, list):
            same.append(record)
        else:
            by_start[start] = [same, record]
    examples: list[tuple[str, Record]] = []
    for start, found in by_start.items():
        if isinstance(found, Record):
            examples.append((start, found))
            continue
        found.sort(key=lambda r: (r.content_hash, r.label, r.split or "", r.path))
        examples += [(f"{start}-{at}" if at else start, r) for at, r in enumerate(found)]
    return sorted(examples, key=itemgetter(0))


def _table(
    examples: Sequence[tuple[str, Record]],
    assigned: Mapping[str, _Assignment],
    classes: tuple[str, ...],
) -> SplitTable:
    example_ids = tuple(map(itemgetter(0), examples))
    records = list(map(itemgetter(1), examples))
    drawn = [assigned[id_] for id_ in example_ids]
    folds = tuple(map(attrgetter("fold"), drawn))
    return SplitTable(
        example_ids=example_ids,
        paths=tuple(map(attrgetter("path"), records)),
        labels=tuple(map(attrgetter("label"), records)),
        splits=tuple(map(attrgetter("split"), drawn)),
        content_hashes=tuple(map(attrgetter("content_hash"), records)),
        classes=classes,
        folds=None if all(fold is None for fold in folds) else folds,
    )


def _conflicting(records: Sequence[Record]) -> tuple[tuple[Record, ...], ...]:
    """Return groups of records with the same picture under more than one label."""
    label_of: dict[str, str] = {}
    contents = {
        record.content_hash
        for record in records
        if label_of.setdefault(record.content_hash, record.label) != record.label
    }
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in sorted(
        (record for record in records if record.content_hash in contents), key=attrgetter("path")
    ):
        groups[record.content_hash].append(record)
    return tuple(tuple(group) for group in groups.values())


def _check_shares(val: float, test: float, folds: int | None, fold: int | None) -> None:
    if not (0 < val < 1 and 0 < test < 1 and val + test < 1):
        raise ValueError(
            f"`val` and `test` must be in (0, 1), with a sum below 1. Received: val={val}, "
            f"test={test}"
        )
    if (folds is None) != (fold is None):
        raise ValueError(
            f"Pass `folds` and `fold` together, e.g. folds=5, fold=0. Received: folds={folds}, "
            f"fold={fold}"
        )
    if folds is not None and fold is not None and not (folds >= 2 and 0 <= fold < folds):
        raise ValueError(
            f"`folds` must be >= 2 and `fold` in [0, folds). Received: folds={folds}, fold={fold}"
        )


def _check_classes_present(table: SplitTable, drawn: set[str]) -> None:
    """Check that every class with images is in train and in every drawn split."""
    counts = Counter(zip(table.labels, table.splits, strict=True))
    present = sorted(set(table.labels))
    if len(present) < 2:
        raise ValueError(f"At least two classes are needed. Received: {present}")
    for label in present:
        if empty := sorted(split for split in drawn if not counts[label, split]):
            numbers = ", ".join(f"{counts[label, split]} {split}" for split in (TRAIN, VAL, TEST))
            raise ValueError(
                f"Class {label!r} has too few pictures for every split: {numbers}; none for "
                f"{', '.join(empty)}. Add pictures or leave the class out."
            )
