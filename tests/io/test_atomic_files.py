"""Files are written completely or not at all."""

import pytest

from proxy_keras.io.atomic_files import write_atomically, write_text_atomically


def test_failed_write_leaves_the_old_content(tmp_path):
    path = tmp_path / "note.txt"
    write_text_atomically(path, "old")

    def fail(aside):
        aside.write_text("ha")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    write_text_atomically(path, "new")
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["note.txt"]


def test_name_given_to_the_writer_keeps_the_suffix(tmp_path):
    names = []
    write_atomically(tmp_path / "model.keras", lambda p: (names.append(p.name), p.write_text("x")))
    assert names == ["model.unfinished.keras"]


def test_folder_is_written_atomically(tmp_path):
    def write(folder):
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "a.txt").write_text("a")

    write_atomically(tmp_path / "folder", write)
    assert (tmp_path / "folder" / "inner" / "a.txt").read_text() == "a"
