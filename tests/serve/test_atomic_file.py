"""A file is written completely or not at all, and the old one stays until then."""

from __future__ import annotations

import pytest

from serve.atomic_file import atomic_file


def test_the_file_appears_at_the_end(tmp_path):
    path = tmp_path / "new" / "a.json"
    with atomic_file(path) as file:
        file.write(b"1")
        assert not path.exists()
    assert path.read_bytes() == b"1"
    assert [one.name for one in path.parent.iterdir()] == ["a.json"]


def test_an_error_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_file(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_two_at_a_time_do_not_meet(tmp_path):
    with atomic_file(tmp_path / "a") as one, atomic_file(tmp_path / "b") as other:
        one.write(b"1")
        other.write(b"2")
    assert (tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes() == b"12"


def test_a_folder_is_not_replaced(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"), atomic_file(tmp_path):
        pass
