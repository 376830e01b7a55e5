"""Damaged indexes, and disks without room for one, change no result and stop no scan."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy_keras.data import index_database, index_files, scan
from proxy_keras.data.index_files import cached_file
from tests.data.scan_index.scans import COUNT, check_same, paint, seen, start


def other_database(file: Path) -> None:
    file.unlink(missing_ok=True)
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE bookmarks (url TEXT)")
        database.execute("INSERT INTO bookmarks VALUES ('https://keras.io')")
    database.close()


@pytest.mark.parametrize("make", [lambda f: f.write_text("a,b\n1,2\n"), other_database])
def test_a_file_of_another_kind_is_refused_and_left_alone(root, make):
    file = root.parent / "mine"
    make(file)
    before = file.read_bytes()
    with pytest.raises(ValueError, match="`index` must be the index of a scan, or a new file"):
        start(root, index=file)
    assert file.read_bytes() == before
    assert not list(root.parent.glob("mine?*"))


def run_sql(*statements: str):
    def change(file: Path) -> None:
        with sqlite3.connect(file) as database:
            for statement in statements:
                database.execute(statement)
        database.close()

    return change


def truncated(size: int):
    return lambda file: os.truncate(file, size)


def overwritten(at: int, content: bytes):
    def change(file: Path) -> None:
        with file.open("r+b") as opened:
            opened.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
            opened.write(content)

    return change


def replaced(old: bytes, new: bytes):
    return lambda file: file.write_bytes(file.read_bytes().replace(old, new.ljust(len(old))))


def with_checksums(statement: str):
    """Change rows, and make their checksums fit."""

    def change(file: Path) -> None:
        with sqlite3.connect(file) as database:
            database.create_function("checksum", 4, index_database._checksum)
            database.execute(statement)
            database.execute("UPDATE files SET checksum = checksum(path, status, examined, reason)")
        database.close()

    return change


DAMAGE = {
    "garbage": lambda file: file.write_bytes(np.random.default_rng(0).bytes(30_000)),
    "text": lambda file: file.write_text("not a database\n" * 100),
    "a short file": lambda file: file.write_bytes(b"SQLite"),
    "cut in the header": truncated(50),
    "cut in the first page": truncated(1000),
    "cut after the first page": truncated(4096),
    "cut in the last page": truncated(-100 % 4096 + 4096),
    "zeros in the first page": overwritten(100, bytes(3000)),
    "zeros in the header": overwritten(16, bytes(60)),
    "zeros after the first page": overwritten(4096, bytes(8192)),
    "noise in the rows": overwritten(-600, np.random.default_rng(0).bytes(200)),
    "another application": other_database,
    "another application id": run_sql("PRAGMA application_id = 7"),
    "a later version": run_sql("PRAGMA user_version = 2"),
    "another folder": run_sql("UPDATE meta SET value = x'2f' WHERE key = 'root'"),
    "other decoders": run_sql("UPDATE meta SET value = '{}' WHERE key = 'decoders'"),
    "no meta": run_sql("DELETE FROM meta"),
    "more meta": run_sql("INSERT INTO meta VALUES ('more', x'00')"),
    "a key that is no text": run_sql("INSERT INTO meta VALUES (x'ff', 7)"),
    "NULL in meta": run_sql("INSERT INTO meta VALUES (1, NULL)"),
    "a schema that is not UTF-8": replaced(
        b"CREATE TABLE files (path", b"CREATE \xfaTABLE \xfa\xfaes"
    ),
    "a missing table": run_sql("DROP TABLE files"),
    "a further table": run_sql("CREATE TABLE more (x)"),
    "a view": run_sql(
        "DROP TABLE files",
        "CREATE VIEW files AS SELECT key path, '' status, '' examined, '' reason, 0 checksum "
        "FROM meta",
    ),
    "a trigger": run_sql(
        "CREATE TRIGGER t AFTER INSERT ON files BEGIN DELETE FROM files; END",
    ),
    "other columns": run_sql("ALTER TABLE files ADD COLUMN more"),
    "another hash": run_sql("UPDATE files SET examined = zeroblob(41) WHERE examined NOT NULL"),
    "numbers": run_sql("UPDATE files SET status = 7"),
    "real numbers": run_sql("UPDATE files SET examined = 0.5, reason = NULL"),
    "text for bytes": run_sql("UPDATE files SET reason = 'é', examined = NULL"),
    "no values": run_sql("UPDATE files SET examined = NULL, reason = NULL"),
    "short hashes": with_checksums("UPDATE files SET examined = x'00' WHERE examined NOT NULL"),
    "short statuses": with_checksums("UPDATE files SET status = x'00'"),
    "two answers": with_checksums("UPDATE files SET reason = x'41'"),
    "no answer": with_checksums("UPDATE files SET reason = NULL, examined = NULL"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_index_is_set_aside_and_made_anew(root, opened, capsys, damage):
    expected = start(root)
    file = cached_file(root)
    DAMAGE[damage](file)
    content = file.read_bytes()
    seen(opened)
    assert capsys.readouterr().err == ""
    check_same(start(root), expected)
    assert len(seen(opened)) == COUNT + 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"The index of earlier scans {file} ")
    assert said.endswith(
        f"It is kept as {file.name}.damaged-1, and the images are decoded again.\n"
    )
    assert file.with_name(f"{file.name}.damaged-1").read_bytes() == content
    check_same(start(root), expected)
    assert opened == []
    assert capsys.readouterr().err == ""


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder, what a scan of it gives, and the bytes of its index."""
    folder = tmp_path_factory.mktemp("sound")
    for number in range(4):
        paint(folder / "photos" / "ab"[number % 2] / f"{number}.png", number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("proxy_keras.data.file_status.RACY_NS", 0)
        expected = start(folder / "photos", index=folder / "index")
    return folder, expected, (folder / "index").read_bytes()


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=40)),
        min_size=1,
        max_size=4,
    )
)
def test_no_damage_gives_another_result(sound, damages):
    folder, expected, content = sound
    damaged = bytearray(content)
    for share, noise in damages:
        at = int(share * len(damaged))
        damaged[at : at + len(noise)] = noise
    file = cached_file(folder / "photos")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(damaged)
    for _ in range(2):
        check_same(start(folder / "photos"), expected)


def test_an_index_of_ones_own_that_is_damaged_is_set_aside(root, capsys):
    file = root.parent / "mine"
    expected = start(root, index=file)
    overwritten(-600, bytes(300))(file)
    check_same(start(root, index=file), expected)
    assert "kept as mine.damaged-1" in capsys.readouterr().err


def test_few_damaged_indexes_are_kept(root):
    start(root)
    file = cached_file(root)
    for number in range(5):
        file.write_text(f"damaged {number}")
        os.utime(file, (number, number))
        start(root)
    kept = {f.name.removeprefix(file.name): f.read_bytes() for f in file.parent.iterdir()}
    kept.pop("")
    assert kept == {
        ".damaged-1": b"damaged 3",
        ".damaged-2": b"damaged 4",
        ".damaged-3": b"damaged 2",
    }


def test_a_journal_of_a_killed_process_is_set_aside_too(root):
    expected = start(root)
    file = cached_file(root)
    journal = file.with_name(f"{file.name}-journal")
    journal.write_bytes(b"journal")
    content = file.read_bytes()
    kept = index_files.set_aside(file)
    assert kept.read_bytes() == content
    assert kept.with_name(f"{kept.name}-journal").read_bytes() == b"journal"
    assert not file.exists() and not journal.exists()
    check_same(start(root), expected)


def check_goes_on(root, opened, capsys, why: str) -> None:
    """Check that scans work without an index, and say so in one line each time."""
    expected = start(root, index=None)
    seen(opened)
    capsys.readouterr()
    for _ in range(2):
        check_same(start(root), expected)
        assert len(seen(opened)) == COUNT + 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert said.startswith("The next start will decode the images again, because their index")
        assert why in said


def test_a_cache_that_is_a_file(root, opened, capsys):
    (root.parent / "cache").write_text("")
    check_goes_on(root, opened, capsys, "Not a directory")


def test_a_cache_that_cannot_be_made(root, opened, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/cache")
    check_goes_on(root, opened, capsys, "/proc/cache")


def test_a_user_without_a_home(root, opened, capsys, monkeypatch):
    def refuse():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", refuse)
    check_goes_on(root, opened, capsys, "Could not determine home directory")


def test_a_full_disk(root, opened, capsys, monkeypatch):
    monkeypatch.setattr(index_database, "MAX_BYTES", 4096)
    check_goes_on(root, opened, capsys, "database or disk is full")


def test_a_disk_that_fills_up_during_a_scan(root, opened, capsys, monkeypatch):
    start(root)
    seen(opened)
    monkeypatch.setattr(index_database, "MAX_BYTES", 3 * 4096)
    for number in range(100, 300):
        paint(root / "a" / f"{number}.png", number)
    found = start(root)
    assert len(seen(opened)) == 200
    assert "database or disk is full" in capsys.readouterr().err
    monkeypatch.undo()
    assert len(found.records) == COUNT + 200


def test_an_index_that_another_program_has_locked(root, opened, capsys, monkeypatch):
    start(root)
    monkeypatch.setattr(index_database, "_WAIT_S", 0.05)
    database = sqlite3.connect(cached_file(root), isolation_level=None)
    database.execute("BEGIN EXCLUSIVE")
    check_goes_on(root, opened, capsys, "database is locked")
    database.close()


def test_a_folder_in_place_of_an_index(root, opened, capsys):
    cached_file(root).mkdir(parents=True)
    check_goes_on(root, opened, capsys, "not a regular file")


def test_a_damage_that_only_a_change_finds(root, opened, capsys, monkeypatch):
    def read_image(path, **options):
        run_sql("DROP TABLE files")(file)
        return original(path, **options)

    start(root)
    seen(opened)
    file, original = cached_file(root), scan.read_image
    time.sleep(0.02)
    paint(root / "a/02.png", 102)
    with monkeypatch.context() as patch:
        patch.setattr(scan, "read_image", read_image)
        start(root)
    assert seen(opened) == ["02.png"]
    assert "cannot be used: no such table: files" in capsys.readouterr().err
    assert file.with_name(f"{file.name}.damaged-1").exists()
    start(root)
    assert len(seen(opened)) == COUNT + 1
    assert capsys.readouterr().err == ""
