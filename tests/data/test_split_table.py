"""A saved split is loaded unchanged, or refused."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy_keras.data.records import Skipped
from proxy_keras.data.split_table import SplitTable, save_skipped

TABLE = SplitTable(
    example_ids=("1a", "2b", "3c", "4d"),
    paths=("x/1.png", "y/2.png", "x/3.png", "y/4.png"),
    labels=("x", "y", "x", "y"),
    splits=("train", "val", "test", "train"),
    content_hashes=("1a11", "2b22", "3c33", "4d44"),
    classes=("y", "x", "unused"),
)


def test_rows_ids_and_class_ids():
    assert len(TABLE) == 4
    assert TABLE.rows("train").tolist() == [0, 3]
    assert TABLE.rows("train").dtype.name == "int64"
    assert TABLE.ids("train") == ["1a", "4d"]
    assert TABLE.ids("val") == ["2b"]
    assert TABLE.class_ids.tolist() == [1, 0, 1, 0]
    assert TABLE.class_ids.dtype.name == "int32"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"paths": ("x",)}, "same length"),
        ({"example_ids": ("2b", "1a", "3c", "4d")}, "sorted"),
        ({"example_ids": ("1a", "1a", "3c", "4d")}, "unique"),
        ({"splits": ("train", "val", "tset", "train")}, "tset"),
        ({"classes": ("x",)}, "'y'"),
    ],
)
def test_an_inconsistent_table_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(TABLE, **change)


def test_written_files(tmp_path):
    TABLE.save(tmp_path / "run")
    content = (tmp_path / "run/split.csv").read_bytes()
    with (tmp_path / "run/split.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["example_id", "path", "label", "split", "content_hash"]
    assert rows[2] == ["2b", "y/2.png", "y", "val", "2b22"]
    assert len(rows) == 5
    saved_hash = (tmp_path / "run/split.sha256").read_text().strip()
    assert saved_hash == hashlib.sha256(content).hexdigest() == TABLE.sha256
    assert json.loads((tmp_path / "run/labels.json").read_text()) == ["y", "x", "unused"]
    assert len(list((tmp_path / "run").iterdir())) == 3


def test_a_saved_table_is_loaded_unchanged(tmp_path):
    TABLE.save(tmp_path)
    assert SplitTable.load(tmp_path) == TABLE
    with_folds = replace(TABLE, folds=(0, 1, None, 2))
    with_folds.save(tmp_path / "folds")
    assert SplitTable.load(tmp_path / "folds") == with_folds
    assert "fold" in (tmp_path / "folds/split.csv").read_text().splitlines()[0]


names = st.text(
    st.characters(exclude_characters="\0/", max_codepoint=0xD7FF) | st.sampled_from('",\n\r\udce9'),
    min_size=1,
)


@settings(max_examples=100, deadline=None)
@given(paths=st.tuples(names, names, names, names))
def test_any_file_name_survives(tmp_path_factory, paths):
    folder = tmp_path_factory.mktemp("run")
    table = replace(TABLE, paths=paths)
    table.save(folder)
    assert SplitTable.load(folder) == table


def test_a_changed_table_is_refused(tmp_path):
    TABLE.save(tmp_path)
    file = tmp_path / "split.csv"
    file.write_text(file.read_text().replace('"val"', '"test"'))
    with pytest.raises(ValueError, match="has changed since it was saved"):
        SplitTable.load(tmp_path)


@pytest.mark.parametrize("name", ["split.csv", "split.sha256", "labels.json"])
def test_an_incomplete_folder_is_refused_and_can_be_rewritten(tmp_path, name):
    TABLE.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        SplitTable.load(tmp_path)
    if name == "split.sha256":
        TABLE.save(tmp_path)
        assert SplitTable.load(tmp_path) == TABLE


def test_a_split_is_not_overwritten_by_another(tmp_path):
    TABLE.save(tmp_path)
    other = replace(TABLE, splits=("train", "val", "test", "val"))
    with pytest.raises(FileExistsError, match="never redrawn"):
        other.save(tmp_path)
    assert SplitTable.load(tmp_path) == TABLE


def test_the_same_split_may_be_saved_again_with_other_paths(tmp_path):
    TABLE.save(tmp_path)
    moved = replace(TABLE, paths=("a", "b", "c", "d"))
    moved.save(tmp_path)
    assert SplitTable.load(tmp_path) == moved


def test_differences_are_counted_and_named():
    other = SplitTable(
        example_ids=("1a", "2b", "3c", "5e"),
        paths=("x/1.png", "y/2.png", "x/3.png", "y/5.png"),
        labels=("y", "y", "x", "y"),
        splits=("train", "val", "train", "train"),
        content_hashes=("1a11", "2b22", "3c33", "5e55"),
        classes=TABLE.classes,
    )
    with pytest.raises(ValueError) as caught:
        TABLE.check_matches(other)
    message = str(caught.value)
    assert "1 missing: 4d (y/4.png)" in message
    assert "1 new: 5e (y/5.png)" in message
    assert "2 changed: 1a (x/1.png), 3c (x/3.png)" in message
    TABLE.check_matches(replace(TABLE, paths=("a", "b", "c", "d"), classes=("x", "y")))


def test_skipped_files_with_any_name_are_listed(tmp_path):
    skipped = [Skipped('a,"b"\n.jpg', "truncated"), Skipped("caf\udce9.png", "empty file")]
    save_skipped(tmp_path, skipped)
    with (tmp_path / "skipped.csv").open(newline="", errors="surrogateescape") as file:
        rows = list(csv.reader(file))
    assert rows == [["path", "reason"], *([item.path, item.reason] for item in skipped)]
