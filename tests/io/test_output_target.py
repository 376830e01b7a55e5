"""Links, devices, pipes and permissions of outputs stay, in both packages that write files."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from proxy_keras.io.atomic_files import write_atomically
from serve.atomic_file import atomic_file
from tests.commands import ROOT

SCRIPTS = {
    "proxy_keras": """
from proxy_keras.io.atomic_files import write_text_atomically
print("before")
write_text_atomically(Path(sys.argv[1]), "new")
print(" after")
""",
    "serve": """
from serve.atomic_file import atomic_file
print("before")
with atomic_file(Path(sys.argv[1])) as file:
    file.write(b"new")
print(" after")
""",
}


def _by_serve(path: Path, content: bytes) -> None:
    with atomic_file(path) as file:
        file.write(content)


def _by_library(path: Path, content: bytes) -> None:
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


@pytest.fixture(params=[_by_library, _by_serve])
def write(request):
    return request.param


@pytest.mark.parametrize("is_relative", [False, True])
def test_a_link_stays_and_its_target_is_replaced(write, is_relative, tmp_path):
    (tmp_path / "there").mkdir()
    target, link, further = tmp_path / "there" / "a.bin", tmp_path / "b.bin", tmp_path / "c.bin"
    link.symlink_to("there/a.bin" if is_relative else target)
    further.symlink_to(link)
    for content in (b"old", b"new"):
        # The first time, the link dangles.
        write(further, content)
        assert link.is_symlink() and further.is_symlink()
        assert target.read_bytes() == content and not target.is_symlink()
    assert [path.name for path in target.parent.iterdir()] == ["a.bin"]


def test_a_circle_of_links_is_an_error(write, tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match="symbolic links"):
        write(tmp_path / "a", b"new")
    assert (tmp_path / "a").is_symlink()


@pytest.mark.parametrize("mode", [0o660, 0o600, 0o664, 0o755])
def test_permissions_stay(write, mode, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(mode)
    inode = path.stat().st_ino
    write(path, b"new")
    state = path.stat()
    assert (stat.S_IMODE(state.st_mode), path.read_bytes()) == (mode, b"new")
    assert state.st_ino != inode


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can choose any group")
def test_the_group_stays(write, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    os.chown(path, -1, 12345)
    write(path, b"new")
    assert path.stat().st_gid == 12345


def test_a_new_file_has_the_usual_permissions(write, tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "a.bin", b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o640


def test_a_fifo_is_written_to(write, tmp_path):
    fifo, read = tmp_path / "pipe", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    reader.start()
    write(fifo, b"new")
    reader.join(timeout=30)
    assert read == [b"new"] and stat.S_ISFIFO(fifo.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_device_is_written_to(write, tmp_path):
    before = os.stat("/dev/null")
    (tmp_path / "nowhere").symlink_to("/dev/null")
    for path in (Path("/dev/null"), tmp_path / "nowhere"):
        write(path, b"new")
    after = os.stat("/dev/null")
    assert (before.st_rdev, before.st_ino) == (after.st_rdev, after.st_ino)
    assert (tmp_path / "nowhere").is_symlink()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_device_is_an_error(write):
    with pytest.raises(OSError, match="No space left"):
        write(Path("/dev/full"), b"new")


@pytest.mark.parametrize("package", list(SCRIPTS))
@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "LINK"])
@pytest.mark.parametrize("is_file", [False, True])
def test_the_standard_output_is_written_to_in_its_place(package, path, is_file, tmp_path):
    if path == "LINK":
        path = str(tmp_path / "link")
        os.symlink("/dev/stdout", path)
    words = [sys.executable, "-c", f"import sys; from pathlib import Path{SCRIPTS[package]}", path]
    if is_file:
        # The shell's redirection: a replaced file would lose what is printed later.
        with (tmp_path / "out").open("wb") as out:
            subprocess.run(words, stdout=out, cwd=ROOT, check=True)
        content = (tmp_path / "out").read_bytes()
    else:
        content = subprocess.run(words, stdout=subprocess.PIPE, cwd=ROOT, check=True).stdout
    assert content == b"before\nnew after\n"


def test_writers_that_seek_can_write_to_a_pipe(tmp_path):
    code = (
        "import numpy as np, pathlib; from proxy_keras.io.atomic_files import write_atomically;"
        "write_atomically(pathlib.Path('/dev/stdout'), lambda path: np.savez(path.open('wb'), x=7))"
    )
    words = [sys.executable, "-W", "ignore", "-c", code]
    content = subprocess.run(words, stdout=subprocess.PIPE, cwd=ROOT, check=True).stdout
    assert content.startswith(b"PK") and b"x.npy" in content
