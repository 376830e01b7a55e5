"""Tests of proxy_keras/watching/run_files.py."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_keras.watching import run_files
from proxy_keras.watching.run_files import RunFiles, Sheet

HISTORY = "epoch,loss,val_accuracy\n1,2.5,0.25\n2,,inf\n"
COUNTS = "epoch,class,images,right\n1,cat,4,1\n1,dog,2,2\n3,cat,4,3\n3,dog,2,0\n"


def test_a_folder_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    files = RunFiles(tmp_path / "none")
    assert (files.settings(), files.conditions(), files.metrics()) == (None, None, None)
    assert (files.history(), files.per_class(), files.sheets()) == ({}, None, [])
    assert files.epoch_seconds() == []
    assert files.written_at("config.json", ".") is None
    assert files.problems == {}


def test_tables_are_told_by_columns(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(HISTORY)
    (tmp_path / "timing.csv").write_text("epoch,seconds,cpu_seconds\n1,2.5,1\n2,3,1\n")
    (tmp_path / "val_per_class.csv").write_text(COUNTS)
    files = RunFiles(tmp_path)
    assert files.history() == {"epoch": [1, 2], "loss": [2.5, None], "val_accuracy": [0.25, None]}
    assert files.epoch_seconds() == [2.5, 3]
    assert files.per_class() == {
        **{"classes": ["cat", "dog"], "images": [4, 2]},
        **{"epochs": [1, 3], "right": [[1, 2], [3, 0]]},
    }
    assert files.problems == {}


@pytest.mark.parametrize("name", ["a,b", 'say "so"', "two\nlines", "ünï\u2028x", "<b>"])
def test_a_class_has_any_name(tmp_path: Path, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    table = f"epoch,class,images,right\n1,{quoted},4,1\n1,dog,2,2\n"
    (tmp_path / "val_per_class.csv").write_text(table, encoding="utf-8", newline="")
    counts = RunFiles(tmp_path).per_class()
    assert counts is not None and counts["classes"] == [name, "dog"]


@given(cut=st.integers(0, len(HISTORY)))
def test_a_table_that_is_being_written_tells_its_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    (folder / "history.csv").write_text(HISTORY[:cut])
    files = RunFiles(folder)
    lines = HISTORY[:cut].count("\n")
    assert files.history().get("epoch", []) == [1, 2][: max(lines - 1, 0)]
    assert files.problems == {}


def test_what_a_file_said_holds_while_it_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    files = RunFiles(tmp_path)
    path.write_text('{"epo')
    assert files.settings() is None
    assert files.problems["config.json"].startswith("Cannot read config.json: Unterminated")
    path.write_text('{"epochs": 4}')
    assert files.settings() == {"epochs": 4}
    assert files.problems == {}
    path.write_text("[1, 2]")
    assert files.settings() == {"epochs": 4}
    assert files.problems == {
        "config.json": "Cannot read config.json: it is not a JSON object. "
        "Its last content is shown."
    }
    path.write_text('{"epochs": 10}')
    assert files.settings() == {"epochs": 10}
    assert files.problems == {}
    path.unlink()
    assert files.settings() is None
    assert files.problems == {}


def test_a_file_is_read_again_only_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.csv"
    path.write_text(HISTORY)
    files = RunFiles(tmp_path)
    before = files.history()
    assert files.history() is before
    # A new file of the same size and time, as a fast run may write it.
    aside = tmp_path / "aside"
    aside.write_text(HISTORY.replace("2.5", "1.5"))
    found = path.stat()
    os.utime(aside, ns=(found.st_atime_ns, found.st_mtime_ns))
    aside.replace(path)
    assert files.history()["loss"] == [1.5, None]
    monkeypatch.setattr(Path, "read_text", None)
    assert files.history()["loss"] == [1.5, None]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("history.csv", "epoch,loss\n1\n", "its rows have different lengths."),
        ("history.csv", "loss\n1\n", "it has no column 'epoch'."),
        ("history.csv", "epoch\n2\n1\n", "its epochs are not increasing integers."),
        ("history.csv", "epoch\n1\n1\n", "its epochs are not increasing integers."),
        ("history.csv", "epoch,loss\n,1\n", "its epochs are not increasing integers."),
        ("history.csv", "epoch\n1.5\n", "its epochs are not increasing integers."),
        ("history.csv", "epoch\nx\n", "could not convert string to float: 'x'"),
        ("history.csv", "epoch\n" + "1" * 200_000 + "\n", "field larger than field limit (131072)"),
        (
            "val_per_class.csv",
            "epoch,class,images\n1,a,2\n",
            "a column of epoch, class, images, right is missing",
        ),
        ("val_per_class.csv", COUNTS + "4,cat,4,1\n", "its epochs have different classes"),
        ("val_per_class.csv", COUNTS.replace("3,dog", "3,cow"), "its epochs have different"),
        ("val_per_class.csv", COUNTS.replace("3,dog,2", "3,dog,3"), "its epochs have different"),
        ("metrics.json", b"\xff", "'utf-8' codec can't decode"),
        ("metrics.json", b"[" * 200_000, "maximum recursion depth exceeded"),
        ("metrics.json", b"", "Expecting value"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_why_a_file_cannot_be_read_is_said(
    tmp_path: Path, name: str, content: str | bytes, why: str
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    files = RunFiles(tmp_path)
    assert not files.history() and files.per_class() is None and files.metrics() is None
    assert list(files.problems) == [name]
    assert files.problems[name].startswith(f"Cannot read {name}: {why}")


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    (tmp_path / "run.json").mkdir()
    files = RunFiles(tmp_path)
    reader = threading.Thread(target=files.settings, daemon=True)
    reader.start()
    reader.join(10)
    assert not reader.is_alive()
    assert files.conditions() is None
    assert files.problems == {
        name: f"Cannot read {name}: it is not a regular file."
        for name in ("config.json", "run.json")
    }


def test_a_file_beyond_all_measure_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_files, "MAX_BYTES", 2**20)
    (tmp_path / "config.json").write_text(f'{{"epochs": 4}}{" " * 2**20}')
    files = RunFiles(tmp_path)
    assert files.settings() is None
    assert files.problems == {"config.json": "Cannot read config.json: it is larger than 1 MiB."}


def test_the_system_s_refusal_is_a_problem_and_no_path_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "sheets").mkdir()
    files = RunFiles(tmp_path)
    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(os, "scandir", refuse)
    assert files.settings() is None and files.sheets() == []
    assert files.problems == {
        name: f"Cannot read {name}: Permission denied." for name in ("config.json", "sheets")
    }
    monkeypatch.undo()
    assert files.settings() == {} and files.sheets() == []
    assert files.problems == {}


def test_no_number_of_a_json_file_breaks_the_page_s_json(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"a": NaN, "b": -Infinity, "c": 1e999, "d": 1.5, "e": 7}')
    said = RunFiles(tmp_path).conditions()
    assert said == {"a": "NaN", "b": "-Infinity", "c": "1e999", "d": 1.5, "e": 7}
    json.dumps(said, allow_nan=False)


def test_pictures_are_told_newest_first_and_nothing_else_is(tmp_path: Path) -> None:
    folder = tmp_path / "sheets"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    names = ("proxies_0009.png", "proxies_0010.png", "proxies_12345.png")
    others = ("proxies_0011.unfinished.png", "proxies_011.png", "proxies_٠٠١١.png", "a.png")
    for name in (*names, *others, "xproxies_0001.png", "proxies_0001.png.html"):
        (folder / name).write_bytes(b"")
    (folder / "proxies_0020.png").mkdir()
    (folder / "proxies_0021.png").symlink_to(tmp_path / "secret.png")
    os.utime(folder / "proxies_0010.png", ns=(5, 7))
    found = RunFiles(tmp_path).sheets()
    assert [(sheet.name, sheet.epoch) for sheet in found] == [
        ("proxies_12345.png", 12345),
        ("proxies_0010.png", 10),
        ("proxies_0009.png", 9),
    ]
    assert found[1] == Sheet("proxies_0010.png", 10, 7)


def test_a_picture_may_vanish_while_the_folder_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone:
        name = "proxies_0001.png"

        def is_file(self, *, follow_symlinks: bool) -> bool:
            return True

        def stat(self) -> os.stat_result:
            raise FileNotFoundError

    files = RunFiles(tmp_path)
    monkeypatch.setattr(files, "_entries", lambda name: [Gone()])
    assert files.sheets() == []


def test_when_something_was_written(tmp_path: Path) -> None:
    for name, time in (("a", 100), ("b", 300), ("c", 200)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (time, time))
    files = RunFiles(tmp_path)
    assert files.written_at("a", "c", "none", "a/none") == 200
    assert files.written_at("a", "b", "c") == 300
