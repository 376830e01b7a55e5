"""Groups become names by path; errors in a table name the line."""

from __future__ import annotations

import os

import pytest

from proxy_keras.data.group_table import GroupTable


@pytest.fixture
def table(tmp_path):
    """Return a function that opens a table with the given lines."""

    def write(*lines):
        file = tmp_path / "groups.csv"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return GroupTable(file)

    return write


def test_groups_are_taken_as_they_stand(table):
    known = table("group,note,file", '"other, no patch",x,a/1.png', ",,a/2.png", " x ,,a/3.png")
    paths = ["a/3.png", "a/1.png", "a/2.png", "a/4.png"]
    assert known.of(paths) == [" x ", "other, no patch", None, None]


def test_names_are_found_in_another_unicode_normal_form(table):
    known = table("file,group", "caf\u00e9/1.png,e\u0301", "Mu%F1oz.png,\u00e9")
    paths = ["cafe\u0301/1.png", os.fsdecode(b"Mu\xf1oz.png")]
    assert known.of(paths) == ["\u00e9", "\u00e9"]
    assert known.without_image(paths[:1]) == ["Mu%F1oz.png"]


def test_a_file_may_be_listed_twice_in_one_group(table):
    assert table("file,group", "a,x", "a,x").of(["a"]) == ["x"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file,label", "a,1"], "lacks the columns group. It has file, label"),
        (["file,group", "a,x", "b"], "line 3: a row needs a file and a group.*file='b', group=N"),
        (["file,group", ",x"], "line 2: a row needs a file"),
        (["file,group", "a,x", "a,y"], "line 3: 'a' is in the groups 'x' and 'y'"),
    ],
)
def test_a_damaged_table_is_refused(table, lines, message):
    with pytest.raises(ValueError, match=message):
        table(*lines)


def test_a_table_of_other_files_is_refused(table):
    with pytest.raises(ValueError, match="has 2 files, but none of the images.*e.g. 'a/1.png'"):
        table("file,group", "1.png,x", "2.png,y").of(["a/1.png"])
