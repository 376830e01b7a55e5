"""The index of a scan: files that have not changed are not opened again, and all others are."""

from __future__ import annotations

import hashlib
import io
import os
import time

import numpy as np
import pytest
from PIL import Image

from proxy_keras.data import index_database, index_files, scan, scan_index
from proxy_keras.data.image_data import ImageData
from proxy_keras.data.images import read_image
from proxy_keras.data.index_files import cached_file, remove_old
from proxy_keras.data.ordinary import is_ordinary
from tests.data.scan_index.scans import COUNT, check_same, entries, paint, seen, start


def test_a_second_start_opens_no_image(root, monkeypatch):
    first = start(root)
    assert len(first.records) == COUNT
    assert [(item.path, item.reason) for item in first.skipped] == [
        ("a/text.jpg", "not an image of a known format")
    ]

    def refuse(*words, **options):
        raise AssertionError(f"opened: {words}")

    monkeypatch.setattr(scan, "read_image", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    check_same(start(root), first)


def test_the_index_changes_nothing(root):
    check_same(start(root), start(root, index=None))
    check_same(start(root), start(root, index="none"))
    options = {"image_size": 8, "progress": False, "seed": 3}
    tables = [
        ImageData.from_folder(root, index=index, **options).table
        for index in ("cache", None, root.parent / "own.sqlite")
    ]
    tables.append(ImageData.from_source(str(root), **options).table)
    assert len({table.sha256 for table in tables}) == 1


def test_what_has_changed_is_opened(root, opened):
    start(root)
    assert len(seen(opened)) == COUNT + 1
    time.sleep(0.02)
    paint(root / "a/02.png", 102)
    paint(root / "b/new.png", 103)
    os.rename(root / "a/04.png", root / "a/renamed.png")
    os.unlink(root / "b/05.png")
    os.utime(root / "a/06.png")
    (root / "a/text.jpg").write_text("no image either")
    found = start(root)
    changed = ["02.png", "06.png", "new.png", "renamed.png", "text.jpg"]
    assert seen(opened) == changed
    check_same(found, start(root, index=None))
    seen(opened)
    check_same(start(root), found)
    assert opened == []


def test_a_change_that_keeps_size_and_time_is_noticed(root, opened):
    before = start(root)
    seen(opened)
    time.sleep(0.02)
    status = os.stat(root / "a/02.png")
    content = bytearray((root / "a/02.png").read_bytes())
    (root / "a/02.png").write_bytes(content[:-20] + b"\0" * 20)
    other = np.asarray(Image.open(root / "a/04.png")).copy()
    Image.fromarray(other).save(root / "a/02.png")
    os.truncate(root / "a/02.png", status.st_size)
    os.utime(root / "a/02.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert os.stat(root / "a/02.png").st_mtime_ns == status.st_mtime_ns
    after = start(root)
    assert seen(opened) == ["02.png"]
    assert before != after


def test_files_that_were_just_written_are_opened_again(root, opened, monkeypatch):
    monkeypatch.setattr("proxy_keras.data.file_status.RACY_NS", 2_000_000_000)
    for _ in range(2):
        start(root)
        assert len(seen(opened)) == COUNT + 1
    time.sleep(2.1)
    paint(root / "a/02.png", 102)
    start(root)
    assert len(seen(opened)) == COUNT + 1
    start(root)
    assert seen(opened) == ["02.png"]


def test_entries_of_removed_files_are_dropped(root):
    start(root)
    file = cached_file(root)
    assert entries(file) == COUNT + 1
    os.unlink(root / "a/02.png")
    start(root)
    assert entries(file) == COUNT
    # Files that are only outside the classes now stay.
    os.rename(root / "b", root.parent / "elsewhere")
    (root / "b").mkdir()
    os.rename(root.parent / "elsewhere", root / "b" / "deeper")
    start(root)
    assert entries(file) == COUNT


def test_files_of_another_layout_stay(tmp_path, opened):
    for number in range(6):
        paint(tmp_path / "photos" / f"{'ab'[number % 2]}{number}.png", number)
        paint(tmp_path / "photos" / "cd"[number % 2] / f"{number}.png", number)
    start(tmp_path / "photos", label_fn=lambda path: path[0])
    assert len(seen(opened)) == 12
    start(tmp_path / "photos")
    start(tmp_path / "photos", label_fn=lambda path: path[0])
    assert opened == []


def test_a_file_that_cannot_be_opened_is_tried_again(root, opened, monkeypatch):
    def read_image(path, **options):
        if path.endswith("02.png"):
            raise PermissionError(13, "Permission denied")
        return original(path, **options)

    original = scan.read_image
    with monkeypatch.context() as patch:
        patch.setattr(scan, "read_image", read_image)
        skipped = {item.path: item.reason for item in start(root).skipped}
    assert skipped["a/02.png"] == "cannot be opened: Permission denied"
    seen(opened)
    assert len(start(root).records) == COUNT
    assert seen(opened) == ["02.png"]


def test_names_of_any_bytes(root, opened):
    paint(root / "a" / os.fsdecode(b"n\xe4me\xff.png"), 50)
    paint(root / "a" / "é 'quoted'\n.png", 51)
    first = start(root)
    assert len(seen(opened)) == COUNT + 3
    check_same(start(root), first)
    assert opened == []


def test_all_paths_to_a_folder_have_one_index(root, opened, monkeypatch):
    start(root)
    (root.parent / "link").symlink_to(root)
    seen(opened)
    start(root.parent / "link")
    monkeypatch.chdir(root.parent)
    start("photos/../photos/")
    assert opened == []
    assert [file.name for file in cached_file(root).parent.iterdir()] == [cached_file(root).name]


def test_nothing_is_kept_without_an_index(root, opened):
    for index in (None, "none"):
        start(root, index=index)
        assert len(seen(opened)) == COUNT + 1
    assert not (root.parent / "cache").exists()
    assert not (root.parent / "none").exists()


def test_an_index_of_ones_own(root, opened):
    file = root.parent / "new folder" / "index.sqlite"
    start(root, index=file)
    seen(opened)
    start(root, index=str(file))
    assert opened == []
    assert not (root.parent / "cache").exists()
    assert entries(file) == COUNT + 1


def test_nothing_is_written_among_the_images(root):
    before = sorted(root.rglob("*"))
    with pytest.raises(ValueError, match="`index` must be outside the folder of the images"):
        start(root, index=root / "a" / "index.sqlite")
    (root.parent / "link").symlink_to(root)
    with pytest.raises(ValueError, match="outside"):
        start(root, index=root.parent / "link" / "index.sqlite")
    start(root)
    assert sorted(root.rglob("*")) == before


def test_the_indexes_used_least_recently_are_removed(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    names = [f"{number:032x}.sqlite" for number in range(5)]
    names[1] += ".damaged-2"
    for number, name in enumerate(names):
        (folder / name).write_bytes(bytes(100))
        os.utime(folder / name, (number, number))
    (folder / "notes.txt").write_bytes(bytes(1000))

    def left(in_use: str, max_bytes: int) -> list[int]:
        remove_old(folder / in_use, max_bytes=max_bytes)
        assert (folder / "notes.txt").exists()
        return [number for number, name in enumerate(names) if (folder / name).exists()]

    assert left(names[4], 500) == [0, 1, 2, 3, 4]
    assert left(names[0], 350) == [0, 3, 4]
    assert left(names[0], 150) == [0]
    assert left(names[0], 0) == [0]


def test_a_start_removes_old_indexes(root, monkeypatch):
    start(root)
    file = cached_file(root)
    old = file.with_name("0" * 32 + ".sqlite")
    old.write_bytes(bytes(file.stat().st_size))
    os.utime(old, (1, 1))
    monkeypatch.setattr(scan_index, "MAX_BYTES", file.stat().st_size + 100)
    start(root)
    assert file.exists() and not old.exists()
    assert index_files.MAX_BYTES == 2 * 2**30


def test_use_counts_not_change(root):
    start(root)
    os.utime(cached_file(root), (1, 1))
    start(root)
    assert time.time() - cached_file(root).stat().st_mtime < 60


def test_the_number_of_the_decoder_stands_for_its_answers():
    """If this fails because images are decoded otherwise, increase `DECODER`."""
    values = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)
    deep = values[..., :2].copy().view("<u2")[..., 0]
    colours = Image.fromarray(values[..., :3])
    pictures = {
        "PNG": [colours, Image.fromarray(values), Image.fromarray(deep), colours.convert("LA")],
        "BMP": [colours, colours.convert("1"), colours.convert("L")],
        "TIFF": [Image.fromarray(deep.astype(np.int32)), Image.fromarray(deep / np.float32(7))],
        "PPM": [colours, colours.convert("L")],
    }
    digest = hashlib.sha256()
    for kind, images in pictures.items():
        for image in images:
            file = io.BytesIO()
            image.save(file, kind)

            def inspect(picture, opened):
                digest.update(bytes([is_ordinary(picture, opened)]))

            digest.update(read_image(file.getvalue(), inspect=inspect).tobytes())
    assert {index_database.DECODER: digest.hexdigest()} == {
        1: "bd3612707f0b5966cfad05278cf30e8dc9929ae11aea13916fe173403fb4c727"
    }
