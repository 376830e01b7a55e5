"""Files are found once, in a fixed order, and skipped ones are reported."""

from __future__ import annotations

import os

import pytest
from PIL import Image

from serve import images
from serve.files import IMAGE_SUFFIXES, BadFile, find_files


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name in ("b/2.PNG", "b/10.jpg", "a/x/1.png", "a/1.jpg", "a/notes.txt", "a/none", "z.tif"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    for hidden in (".git/1.png", "a/._1.jpg", "@eaDir/1.png", "b/__MACOSX/1.jpg", "a/1.png~"):
        path = tmp_path / "root" / hidden
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "root"


def paths(*arguments: str) -> list[str]:
    return [file.path for file in find_files(arguments).files]


def test_a_folder_with_all_below_it(tree):
    found = find_files(["root"])
    assert [file.name for file in found.files] == [
        "a/1.jpg",
        "a/x/1.png",
        "b/10.jpg",
        "b/2.PNG",
        "z.tif",
    ]
    assert [file.path for file in found.files][0] == "root/a/1.jpg"
    assert found.others == {".txt": 1, "": 1}
    assert found.bad == []


def test_a_file_that_is_named_is_taken_whatever_it_is_called(tree):
    found = find_files(["root/a/notes.txt", "root/b/2.PNG"])
    assert [(file.path, file.name) for file in found.files] == [
        ("root/a/notes.txt", "notes.txt"),
        ("root/b/2.PNG", "2.PNG"),
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("root/*/*.jpg", ["root/a/1.jpg", "root/b/10.jpg"]),
        ("root/**/1.*", ["root/a/1.jpg", "root/a/x/1.png"]),
        ("root/[ab]", ["root/a/1.jpg", "root/a/x/1.png", "root/b/10.jpg", "root/b/2.PNG"]),
        ("root/a/*.tx?", ["root/a/notes.txt"]),
    ],
)
def test_globs(tree, pattern, expected):
    assert paths(pattern) == expected


def test_each_file_once_in_the_order_of_the_arguments(tree):
    assert paths("root/z.tif", "root/b", "./root/b/2.PNG", "root/*.tif", "root/a/1.jpg") == [
        "root/z.tif",
        "root/b/10.jpg",
        "root/b/2.PNG",
        "root/a/1.jpg",
    ]


def test_a_file_with_the_signs_of_a_glob_in_its_name(tree):
    (tree / "photo[1].jpg").write_bytes(b"")
    assert paths("root/photo[1].jpg") == ["root/photo[1].jpg"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [("gone.jpg", "'gone.jpg' does not exist"), ("root/*.gif", "'root/\\*.gif' matches nothing")],
)
def test_what_is_not_there_is_an_error(tree, argument, message):
    with pytest.raises(FileNotFoundError, match=message):
        find_files([argument])


def test_links_are_followed_but_not_in_circles(tree):
    (tree / "a" / "up").symlink_to(tree)
    (tree / "b" / "c").symlink_to(tree / "a" / "x")
    (tree / "b" / "gone.png").symlink_to(tree / "nowhere")
    found = find_files(["root"])
    names = [file.name for file in found.files]
    assert "b/c/1.png" in names and len(names) == 6
    assert found.bad == [
        BadFile("root/a/up", "a link to one of its parent folders"),
        BadFile("root/b/gone.png", "broken link"),
    ]


def test_a_pipe_is_not_waited_for(tree):
    os.mkfifo(tree / "pipe.png")
    assert find_files(["root"]).bad == [BadFile("root/pipe.png", "not a regular file")]


def test_a_folder_that_cannot_be_opened_is_reported(tree, monkeypatch):
    real = os.scandir

    def scandir(path):
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert find_files(["root"]).bad == [BadFile("root/b", "cannot be opened: Permission denied")]


def test_the_suffixes_are_those_of_the_formats_that_can_be_read():
    Image.init()
    known = {
        suffix for suffix, kind in Image.registered_extensions().items() if kind in images._FORMATS
    }
    assert known == IMAGE_SUFFIXES
