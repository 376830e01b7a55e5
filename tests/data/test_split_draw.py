"""The split is a function of seed, class and content: exact small cases, then properties."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.data.records import Record
from proxy_keras.data.split_draw import draw_split, match_saved_split


def digest(picture: object) -> str:
    return hashlib.sha256(repr(picture).encode()).hexdigest()


def record(label: str, picture: object, *, path: str | None = None, split: str | None = None):
    return Record(path or f"{label}/{picture}.png", label, split, digest(picture), 1)


def distinct(counts: dict[str, int], split: str | None = None) -> list[Record]:
    return [
        record(label, f"{split}{label}{i}", split=split)
        for label, n in counts.items()
        for i in range(n)
    ]


def split_sizes(table) -> dict[tuple[str, str], int]:
    return dict(Counter(zip(table.labels, table.splits, strict=True)))


def test_shares_by_class():
    table = draw_split(distinct({"a": 20, "b": 10}), seed=0, val=0.1, test=0.2).table
    assert split_sizes(table) == {
        ("a", "train"): 14,
        ("a", "val"): 2,
        ("a", "test"): 4,
        ("b", "train"): 7,
        ("b", "val"): 1,
        ("b", "test"): 2,
    }
    assert table.classes == ("a", "b")
    assert table.folds is None


@pytest.mark.parametrize(
    ("splits", "sha256"),
    [
        ([None], "32a21a9ce7a216cffac8a98cfb1a9d716034c31a2592b86fab2a90d8baa3064d"),
        (["train", "test"], "fc6ed17f4f7acf6e21e3d9eb359d795bf4436205b070244955dd80db4dd3a5ec"),
        (
            ["train", "val", "test"],
            "47b686ed8bb4fca407169dcc4cb83056f6b70daede4d8dc8d3064c229a78ef28",
        ),
    ],
)
def test_a_split_stays_the_same_in_later_versions(splits, sha256):
    """With copies, pictures under two labels, and ids that start alike."""
    records = [
        Record(
            f"{'abc'[n % 3]}/{n * 7919 % 200}.png",
            "abc"[n % 3],
            splits[n % 7 % len(splits)],
            digest(n % 83)[: 16 if n % 11 == 0 else None] + digest(n)[:48] * (n % 11 == 0),
            1,
        )
        for n in range(200)
    ]
    draw = draw_split([*records, records[5]], seed=3)
    assert draw.table.sha256 == sha256
    assert match_saved_split(draw.table, [*records, records[5]]).table == draw.table


def test_the_draw_orders_a_class_by_seed_and_content():
    records = distinct({"a": 10, "b": 10})
    table = draw_split(records, seed=7, val=0.2, test=0.3).table
    ours = [r.content_hash for r in records if r.label == "a"]
    ours.sort(key=lambda content: hashlib.sha256(f"7:{content}".encode()).digest())
    expected = dict(zip(ours, ["test"] * 3 + ["val"] * 2 + ["train"] * 5, strict=True))
    found = dict(zip(table.content_hashes, table.splits, strict=True))
    assert {content: found[content] for content in ours} == expected


def test_another_seed_gives_another_split():
    records = distinct({"a": 50, "b": 50})
    assert draw_split(records, seed=0).table.splits != draw_split(records, seed=1).table.splits


def test_ids_are_the_start_of_the_hash_and_copies_are_numbered():
    copies = [record("a", "same", path=f"a/{i}.png") for i in range(3)]
    table = draw_split(copies + distinct({"a": 5, "b": 5}), seed=0).table
    start = digest("same")[:16]
    assert [id_ for id_ in table.example_ids if id_.startswith(start)] == [
        start,
        f"{start}-1",
        f"{start}-2",
    ]
    assert list(table.example_ids) == sorted(table.example_ids)


def test_given_splits_are_kept():
    records = [
        r for split in ("train", "val", "test") for r in distinct({"a": 3, "b": 4}, split=split)
    ]
    table = draw_split(records, seed=0).table
    assert dict(zip(table.paths, table.splits, strict=True)) == {r.path: r.split for r in records}


def test_val_is_drawn_from_train_when_test_is_given():
    records = distinct({"a": 10, "b": 10}, "train") + distinct({"a": 3, "b": 3}, "test")
    table = draw_split(records, seed=0, val=0.2).table
    sizes = split_sizes(table)
    assert sizes == {(c, s): n for c in "ab" for s, n in (("train", 8), ("val", 2), ("test", 3))}
    from_test = {r.content_hash for r in records if r.split == "test"}
    assert {table.content_hashes[row] for row in table.rows("test")} == from_test


def test_test_is_drawn_from_train_when_val_is_given():
    records = distinct({"a": 10, "b": 10}, "train") + distinct({"a": 3, "b": 3}, "val")
    sizes = split_sizes(draw_split(records, seed=0, test=0.3).table)
    assert sizes == {(c, s): n for c in "ab" for s, n in (("train", 7), ("val", 3), ("test", 3))}


def test_copies_across_given_splits_are_left_out():
    records = [
        *distinct({"a": 6, "b": 6}, "train"),
        *distinct({"a": 2, "b": 2}, "val"),
        *distinct({"a": 2, "b": 2}, "test"),
        record("a", "x", path="train/x", split="train"),
        record("a", "x", path="val/x", split="val"),
        record("a", "x", path="test/x", split="test"),
        record("b", "y", path="train/y", split="train"),
        record("b", "y", path="val/y", split="val"),
    ]
    draw = draw_split(records, seed=0)
    assert [(item.path, item.reason) for item in draw.leaking] == [
        ("train/x", "copy of a test image: test/x"),
        ("train/y", "copy of a validation image: val/y"),
        ("val/x", "copy of a test image: test/x"),
    ]
    assert not {"train/x", "train/y", "val/x"} & set(draw.table.paths)


def test_a_picture_with_two_labels_stays_together_and_is_reported():
    pair = [record("a", "both", path="a/1"), record("b", "both", path="b/1")]
    for seed in range(20):
        draw = draw_split(pair + distinct({"a": 8, "b": 8}), seed=seed, val=0.25, test=0.25)
        table = draw.table
        of = {table.splits[row] for row, path in enumerate(table.paths) if path in ("a/1", "b/1")}
        assert len(of) == 1
        assert [[r.path for r in group] for group in draw.conflicting] == [["a/1", "b/1"]]


def test_a_picture_with_two_labels_counts_only_for_the_first():
    pairs = [record(label, f"both{i}", path=f"{label}/{i}") for i in range(9) for label in "ab"]
    own = distinct({"a": 20, "b": 20})
    split_of = {
        content: split
        for table in [draw_split(pairs + own, seed=0).table]
        for content, split in zip(table.content_hashes, table.splits, strict=True)
    }
    alone = draw_split(own, seed=0).table
    for content, label, split in zip(alone.content_hashes, alone.labels, alone.splits, strict=True):
        assert label == "a" or split_of[content] == split


def test_ids_of_copies_with_two_labels_survive_renaming():
    names = [("a", "1"), ("b", "2"), ("a", "2"), ("b", "1")]
    tables = [
        draw_split(
            [record("a", "same", path=first), record("b", "same", path=second)]
            + distinct({"a": 8, "b": 8}),
            seed=0,
        ).table
        for (_, first), (_, second) in (names[:2], names[2:])
    ]
    assert tables[0].example_ids == tables[1].example_ids
    assert tables[0].labels == tables[1].labels


def test_folds():
    records = distinct({"a": 23, "b": 12})
    tables = [draw_split(records, seed=0, test=0.2, folds=3, fold=i).table for i in range(3)]
    assert len({table.ids("test").__repr__() for table in tables}) == 1
    assert len({table.folds for table in tables}) == 1
    for fold, table in enumerate(tables):
        assert all(
            (of is None) == (split == "test") and (of == fold) == (split == "val")
            for of, split in zip(table.folds, table.splits, strict=True)
        )
    validated = [id_ for table in tables for id_ in table.ids("val")]
    assert sorted(validated) == sorted(tables[0].ids("train") + tables[0].ids("val"))
    for label in "ab":
        sizes = [split_sizes(table)[label, "val"] for table in tables]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val": 0.0}, r"in \(0, 1\)"),
        ({"test": 1.0}, r"in \(0, 1\)"),
        ({"val": 0.5, "test": 0.5}, "sum below 1"),
        ({"folds": 3}, "`folds` and `fold` together"),
        ({"fold": 0}, "`folds` and `fold` together"),
        ({"folds": 3, "fold": 3}, "Received: folds=3, fold=3"),
        ({"folds": 1, "fold": 0}, "Received: folds=1, fold=0"),
        ({"folds": 10, "fold": 0}, "Class 'b' has 4 pictures .* too few for 10 folds"),
        ({"classes": ["a"]}, "not among the classes: .*'b'"),
    ],
)
def test_arguments_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        draw_split(distinct({"a": 30, "b": 4}), seed=0, **options)


def test_too_few_pictures_names_the_class_and_the_numbers():
    with pytest.raises(ValueError, match="Class 'rare' has 2 pictures .*1 for test and 1 for val"):
        draw_split(distinct({"a": 20, "rare": 2}), seed=0)
    # Three copies are one picture.
    copies = [record("rare", "same", path=f"rare/{i}") for i in range(3)]
    with pytest.raises(ValueError, match="Class 'rare' has 1 pictures"):
        draw_split(distinct({"a": 20}) + copies, seed=0)
    draw_split(distinct({"a": 20, "rare": 3}), seed=0)


def test_given_splits_without_training_images():
    with pytest.raises(ValueError, match="no training images"):
        draw_split(distinct({"a": 3, "b": 3}, "test"), seed=0)
    records = distinct({"a": 9, "b": 9}, "train") + distinct({"a": 3, "c": 3}, "test")
    with pytest.raises(ValueError, match="Class 'c' .*0 train"):
        draw_split(records, seed=0)
    with pytest.raises(ValueError, match="already have a validation split"):
        draw_split(distinct({"a": 9, "b": 9}, "val"), seed=0, folds=2, fold=0)


def test_one_class_is_not_enough():
    with pytest.raises(ValueError, match="At least two classes"):
        draw_split(distinct({"a": 20}), seed=0)


@pytest.mark.parametrize("saved_form", ["NFC", "NFD"])
def test_a_saved_split_matches_another_unicode_normal_form(saved_form):
    def named(form):
        name = unicodedata.normalize(form, "caf\u00e9")
        return [replace(one, label=name) if one.label == "a" else one for one in records]

    records = distinct({"a": 10, "b": 10})
    saved = draw_split(named(saved_form), seed=0).table
    other = "NFD" if saved_form == "NFC" else "NFC"
    assert match_saved_split(saved, named(other)).table == saved


def test_a_saved_split_matches_renamed_files_only():
    records = distinct({"a": 9, "b": 9}, "train") + distinct({"a": 3, "b": 3}, "test")
    saved = draw_split(records, seed=0).table
    renamed = [replace(r, path=f"new/{i}") for i, r in enumerate(reversed(records))]
    found = match_saved_split(saved, renamed).table
    assert found == replace(saved, paths=found.paths)
    content_of = {r.path: r.content_hash for r in renamed}
    assert [content_of[path] for path in found.paths] == list(saved.content_hashes)

    with pytest.raises(ValueError, match=r"no longer match .*1 missing"):
        match_saved_split(saved, records[1:])
    with pytest.raises(ValueError, match="2 new"):
        match_saved_split(saved, [*records, *distinct({"c": 2}, "train")])
    with pytest.raises(ValueError, match="1 changed"):
        match_saved_split(saved, [replace(records[0], label="b"), *records[1:]])
    with pytest.raises(ValueError, match="1 changed"):
        match_saved_split(saved, [replace(records[0], split="test"), *records[1:]])
    moved = [replace(r, split="train") if r is records[-1] else r for r in records]
    with pytest.raises(ValueError, match="1 changed"):
        match_saved_split(saved, moved)


pictures = st.dictionaries(
    st.integers(0, 200), st.tuples(st.sampled_from("abc"), st.integers(1, 3)), min_size=24
)


@st.composite
def some_records(draw) -> list[Record]:
    """Draw at least eight distinct pictures of each of three classes, some of them copied."""
    records = distinct({"a": 8, "b": 8, "c": 8})
    for picture, (label, copies) in draw(pictures).items():
        records += [record(label, picture, path=f"{label}/{picture}_{i}") for i in range(copies)]
    return records


shares = st.sampled_from([(0.15, 0.15), (0.1, 0.3), (0.34, 0.33), (0.01, 0.05)])


@settings(max_examples=60, deadline=None)
@given(records=some_records(), seed=st.integers(0, 9), share=shares)
def test_a_picture_is_in_one_split_and_each_split_has_its_share(records, seed, share):
    val, test = share
    table = draw_split(records, seed=seed, val=val, test=test).table
    assert len(table) == len(records)
    assert sorted(table.paths) == sorted(r.path for r in records)
    splits_of = defaultdict(set)
    for content, split in zip(table.content_hashes, table.splits, strict=True):
        splits_of[content].add(split)
    assert all(len(splits) == 1 for splits in splits_of.values())
    for label in "abc":
        of = {r.content_hash: splits_of[r.content_hash] for r in records if r.label == label}
        for name, wanted in (("val", val), ("test", test)):
            number = sum(splits == {name} for splits in of.values())
            assert abs(number - wanted * len(of)) <= 1
            assert number >= 1


@settings(max_examples=60, deadline=None)
@given(records=some_records(), seed=st.integers(0, 9), random=st.randoms(use_true_random=False))
def test_order_and_names_do_not_matter(records, seed, random):
    table = draw_split(records, seed=seed).table
    shuffled = list(records)
    random.shuffle(shuffled)
    assert draw_split(shuffled, seed=seed).table == table
    renamed = [replace(r, path=f"{random.random()}/{i}") for i, r in enumerate(shuffled)]
    again = draw_split(renamed, seed=seed).table
    assert replace(again, paths=table.paths) == table


@settings(max_examples=30, deadline=None)
@given(records=some_records(), label=st.sampled_from("abc"))
def test_the_split_of_a_class_does_not_depend_on_other_classes(records, label):
    table = draw_split(records, seed=0).table
    alone = [r for r in records if r.label == label] + distinct({"z": 5})
    split_of = dict(zip(table.example_ids, table.splits, strict=True))
    other = draw_split(alone, seed=0).table
    for id_, of, split in zip(other.example_ids, other.labels, other.splits, strict=True):
        assert of == "z" or split_of[id_] == split
